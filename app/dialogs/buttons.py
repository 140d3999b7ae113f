"""Buttons of dialogs."""

from PySide6.QtWidgets import QDialogButtonBox, QPushButton


def add_primary(buttons: QDialogButtonBox, text: str) -> QPushButton:
    """Adds the button that does what the dialog is for, in the accent's colour."""
    button = QPushButton(text)
    # Before the box has it: the style looks once, when the button is first measured.
    button.setProperty("primary", True)
    buttons.addButton(button, QDialogButtonBox.ButtonRole.AcceptRole)
    return button
