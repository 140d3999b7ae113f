"""Colours and style of the window, light and dark; the canvas has its own in app.canvas.palette."""

from dataclasses import dataclass

from PySide6.QtGui import QColor, QPalette

from msarcnn.resources import resource_path

ACCENT = "#2f8f74"


@dataclass(frozen=True)
class Scheme:
    """The named colours of one scheme, as #rrggbb, and the one sign that depends on them."""

    window: str
    panel: str
    raised: str
    line: str
    text: str
    muted: str
    accent: str
    accent_text: str
    hover: str
    warning: str
    error: str
    tick: str
    """Name of the tick that is seen on the accent colour."""


LIGHT = Scheme(
    window="#f3f4f6",
    panel="#ffffff",
    raised="#e9ebef",
    line="#d5d8de",
    text="#1c1f26",
    muted="#646b78",
    accent="#1f7a61",
    accent_text="#ffffff",
    hover="#e2e6ea",
    warning="#9a5b00",
    error="#b3261e",
    tick="tick-light",
)
DARK = Scheme(
    window="#212329",
    panel="#1b1d22",
    raised="#2d3038",
    line="#363a43",
    text="#e8eaee",
    muted="#9aa1ae",
    accent="#4dd0a5",
    accent_text="#0c1f18",
    hover="#343842",
    warning="#f0b95a",
    error="#ff8a80",
    tick="tick-dark",
)


def scheme_of(dark: bool) -> Scheme:
    return DARK if dark else LIGHT


def palette_of(scheme: Scheme) -> QPalette:
    """Returns the palette for Qt's Fusion style."""
    palette = QPalette()
    role = QPalette.ColorRole
    for name, color in (
        (role.Window, scheme.window),
        (role.WindowText, scheme.text),
        (role.Base, scheme.panel),
        (role.AlternateBase, scheme.window),
        (role.Text, scheme.text),
        (role.Button, scheme.raised),
        (role.ButtonText, scheme.text),
        (role.BrightText, scheme.error),
        (role.ToolTipBase, scheme.raised),
        (role.ToolTipText, scheme.text),
        (role.PlaceholderText, scheme.muted),
        (role.Highlight, scheme.accent),
        (role.HighlightedText, scheme.accent_text),
        (role.Link, scheme.accent),
        (role.Mid, scheme.line),
        (role.Accent, scheme.accent),
    ):
        palette.setColor(name, QColor(color))
    for name in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, name, QColor(scheme.muted).darker(115))
    return palette


def _icon(name: str) -> str:
    """Returns a shipped picture's place as style sheets write it."""
    return resource_path("icons", f"{name}.svg").as_posix()


def style_sheet(scheme: Scheme) -> str:
    """Returns the style sheet: spacing and flat surfaces that Fusion lacks."""
    return f"""
    QMainWindow, QDockWidget {{ background: {scheme.window}; }}
    QMainWindow::separator {{ background: {scheme.window}; width: 5px; height: 5px; }}
    QMainWindow::separator:hover {{ background: {scheme.accent}; }}
    QDockWidget {{ font-weight: 600; }}
    QDockWidget::title {{ background: {scheme.window}; padding: 8px 10px 6px 10px; text-align: left; }}
    QDockWidget > QWidget {{ font-weight: 400; }}
    QToolBar {{ background: {scheme.window}; border: none; border-bottom: 1px solid {scheme.line};
        padding: 4px 6px; spacing: 2px; }}
    QToolBar::separator {{ background: {scheme.line}; width: 1px; margin: 5px 6px; }}
    QToolButton {{ border: none; border-radius: 6px; padding: 5px; }}
    QToolButton:hover {{ background: {scheme.hover}; }}
    QToolButton:checked {{ background: {scheme.raised}; }}
    QToolButton:pressed {{ background: {scheme.line}; }}
    QToolButton#qt_toolbar_ext_button {{ qproperty-icon: url("{_icon("more")}"); padding: 0;
        background: {scheme.raised}; }}
    QPushButton {{ background: {scheme.raised}; border: 1px solid {scheme.line}; border-radius: 6px;
        padding: 6px 14px; }}
    QPushButton:hover {{ background: {scheme.hover}; }}
    QPushButton:focus {{ border-color: {scheme.accent}; }}
    QPushButton:disabled {{ color: {scheme.muted}; }}
    QPushButton[primary="true"] {{ background: {scheme.accent}; color: {scheme.accent_text}; border: none;
        font-weight: 600; padding: 7px 15px; }}
    QPushButton[primary="true"]:disabled {{ background: {scheme.raised}; color: {scheme.muted}; }}
    QPushButton[flat_link="true"] {{ background: transparent; border: none; color: {scheme.accent};
        padding: 5px 8px; text-align: left; }}
    QPushButton[flat_link="true"]:hover {{ background: {scheme.hover}; }}
    QLineEdit[field="true"] {{ background: {scheme.panel}; border: 1px solid {scheme.line};
        border-radius: 6px; padding: 4px 8px; min-height: 20px; selection-background-color: {scheme.accent}; }}
    QLineEdit[field="true"]:focus {{ border-color: {scheme.accent}; }}
    QSpinBox, QDoubleSpinBox {{ min-height: 26px; }}
    QComboBox {{ background: {scheme.raised}; border: 1px solid {scheme.line}; border-radius: 6px;
        padding: 2px 8px; min-height: 22px; }}
    QComboBox:hover {{ background: {scheme.hover}; }}
    QComboBox:focus {{ border-color: {scheme.accent}; }}
    QComboBox:disabled {{ color: {scheme.muted}; }}
    QComboBox::drop-down {{ border: none; width: 24px; }}
    QComboBox::down-arrow {{ image: url("{_icon("down")}"); width: 14px; height: 14px; }}
    QListView, QTreeView, QTableView {{ background: {scheme.panel}; border: 1px solid {scheme.line};
        border-radius: 8px; outline: none; }}
    QTableView[roomy="true"]::item {{ padding: 0 3px; }}
    QTableView[cards="true"] {{ selection-background-color: transparent; }}
    QTreeView::item {{ padding: 3px 0; }}
    QHeaderView::section {{ background: {scheme.window}; border: none; border-bottom: 1px solid {scheme.line};
        padding: 5px 6px; }}
    QStatusBar {{ background: {scheme.window}; border-top: 1px solid {scheme.line}; }}
    QStatusBar::item {{ border: none; }}
    QStatusBar QLabel {{ color: {scheme.muted}; padding: 2px 8px; }}
    QMenuBar {{ background: {scheme.window}; padding: 2px 4px; }}
    QMenuBar::item {{ padding: 4px 9px; border-radius: 5px; background: transparent; }}
    QMenuBar::item:selected {{ background: {scheme.hover}; }}
    QMenu {{ background: {scheme.panel}; border: 1px solid {scheme.line}; padding: 5px; }}
    QMenu::item {{ padding: 6px 26px 6px 12px; border-radius: 5px; }}
    QMenu::item:selected {{ background: {scheme.hover}; color: {scheme.text}; }}
    QMenu::item:disabled {{ color: {scheme.muted}; }}
    QMenu::separator {{ height: 1px; background: {scheme.line}; margin: 5px 8px; }}
    QMenu::icon {{ padding-left: 8px; }}
    QProgressBar {{ background: {scheme.raised}; border: none; border-radius: 3px; max-height: 6px; }}
    QProgressBar::chunk {{ background: {scheme.accent}; border-radius: 3px; }}
    QCheckBox {{ spacing: 8px; }}
    QCheckBox::indicator {{ width: 15px; height: 15px; border: 1.5px solid {scheme.muted}; border-radius: 4px;
        background: {scheme.panel}; }}
    QCheckBox::indicator:checked {{ background: {scheme.accent}; border-color: {scheme.accent};
        image: url("{_icon(scheme.tick)}"); }}
    QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
    QScrollBar::handle {{ background: {scheme.line}; border-radius: 3px; min-height: 30px; min-width: 30px; }}
    QScrollBar::handle:hover {{ background: {scheme.muted}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QToolTip {{ background: {scheme.raised}; color: {scheme.text}; border: 1px solid {scheme.line}; padding: 4px 6px; }}
    QLabel[muted="true"] {{ color: {scheme.muted}; }}
    QLabel[heading="true"] {{ font-size: 20px; font-weight: 600; }}
    QLabel[subheading="true"] {{ font-weight: 600; color: {scheme.muted}; }}
    QLabel[warning="true"] {{ color: {scheme.warning}; }}
    QLabel[saved="no"] {{ color: {scheme.error}; font-weight: 600; }}
    QFrame[card="true"] {{ background: {scheme.panel}; border: 1px solid {scheme.line}; border-radius: 10px; }}
    QFrame[message="info"] {{ background: {scheme.raised}; border: 1px solid {scheme.line}; border-radius: 8px; }}
    QFrame[message="success"] {{ background: {scheme.raised}; border: 1px solid {scheme.accent}; border-radius: 8px; }}
    QFrame[message="warning"] {{ background: {scheme.raised}; border: 1px solid {scheme.warning}; border-radius: 8px; }}
    QFrame[message="error"] {{ background: {scheme.raised}; border: 1px solid {scheme.error}; border-radius: 8px; }}
    """
