"""Menus and tool bar, filled from the table of actions."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QActionGroup
from PySide6.QtWidgets import QDockWidget, QMainWindow, QMenu, QToolBar, QToolButton

from app.actions import ACTIONS, MENUS
from app.controllers.choices import Choice
from app.controllers.places import title_of

_WITH_TEXT = ("new_person", "prefill_image", "accept_and_go_on", "mark_done", "fine_tune", "export_coco")


def fill_menus(window: QMainWindow, actions: Mapping[str, QAction]) -> dict[str, QMenu]:
    """Puts every action into its menu or submenu; returns the menus by name."""
    menus = {name: window.menuBar().addMenu(f"&{name}") for name in MENUS}
    for spec in ACTIONS:
        menu = menus.get(spec.menu)
        if menu is None:
            parent, _, title = spec.menu.partition("/")
            menu = menus[spec.menu] = menus[parent].addMenu(title)
        if spec.separated:
            menu.addSeparator()
        menu.addAction(actions[spec.id])
    return menus


def make_tool_bar(window: QMainWindow, actions: Mapping[str, QAction]) -> QToolBar:
    """Makes the tool bar: the actions that want a button, grouped by menu; the main ones with their text."""
    bar = QToolBar("Tools", window)
    bar.setObjectName("tools")
    bar.setIconSize(QSize(20, 20))
    bar.setMovable(False)
    window.addToolBar(bar)
    group = ""
    for spec in ACTIONS:
        if not spec.tool_bar:
            continue
        if group and group != spec.menu:
            bar.addSeparator()
        group = spec.menu
        bar.addAction(actions[spec.id])
        button = bar.widgetForAction(actions[spec.id])
        if spec.id in _WITH_TEXT and isinstance(button, QToolButton):
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return bar


def add_recent_projects(
    menu: QMenu, before: QAction, projects: Callable[[], Sequence[Path]], open_project: Callable[[Path], None]
) -> None:
    """Adds a submenu with the projects opened last, as they are when it is shown."""
    recent = QMenu("&Recent projects", menu)
    menu.insertMenu(before, recent)

    def fill() -> None:
        recent.clear()
        for number, path in enumerate(projects(), 1):
            # A single & would be the mark of the letter that opens an entry.
            entry = recent.addAction(f"&{number % 10} {title_of(path).replace('&', '&&')}")
            entry.setStatusTip(str(path))
            entry.triggered.connect(lambda _=False, path=path: open_project(path))
        if recent.isEmpty():
            recent.addAction("None yet").setEnabled(False)

    recent.aboutToShow.connect(fill)


def add_choices(
    menu: QMenu, title: str, choices: Callable[[], Sequence[Choice]], choose: Callable[[str], None]
) -> None:
    """Adds a submenu of which one entry holds, with the entries that there are when it is shown."""
    entries = menu.addMenu(title)
    group = QActionGroup(entries)

    def fill() -> None:
        entries.clear()
        for value, text, chosen in choices():
            # A single & would be the mark of the letter that opens an entry.
            entry = entries.addAction(text.replace("&", "&&"))
            entry.setCheckable(True)
            entry.setChecked(chosen)
            entry.setActionGroup(group)
            entry.triggered.connect(lambda _=False, value=value: choose(value))

    entries.aboutToShow.connect(fill)


def add_panel_switches(menu: QMenu, docks: Sequence[QDockWidget], bar: QToolBar) -> None:
    """Adds a submenu that shows and hides the docks and the tool bar."""
    panels = menu.addMenu("Panels")
    for dock in docks:
        panels.addAction(dock.toggleViewAction())
    panels.addAction(bar.toggleViewAction())
