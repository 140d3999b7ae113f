"""Icons by qtawesome name, in the scheme's text colour."""

from PySide6.QtGui import QColor, QIcon


def icon(name: str, color: QColor, disabled: QColor) -> QIcon:
    """Returns an icon. The first call loads the icon fonts (a third of a second): not before the window is up."""
    import qtawesome

    made: QIcon = qtawesome.icon(name, color=color, color_disabled=disabled)
    return made
