"""The program around the window: arguments, QApplication, theme, errors, pictures of the window."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QSettings, QStandardPaths, Qt, QTimer
from PySide6.QtWidgets import QApplication

from app.display import has_display
from app.icons import icon
from app.theme import palette_of, scheme_of, style_sheet

if TYPE_CHECKING:
    from app.main_window import MainWindow
    from app.storage.settings import Settings

ORGANISATION, NAME = "MSA R-CNN", "Pose Labeller"
SETTINGS_VARIABLE = "MSARCNN_SETTINGS"
"""Environment variable: an INI file to use instead of the user's settings."""
_SCREENSHOT_TIMEOUT_MS = 120_000
_LOG_BYTES = 2 << 20
_log = logging.getLogger(__name__)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Parses main.py's command line."""
    parser = argparse.ArgumentParser(prog="main.py", description="Label human poses with MSA R-CNN.")
    parser.add_argument("paths", metavar="PATH", nargs="*", type=Path, help="folder, images, COCO file or project")
    parser.add_argument("--images", metavar="DIR", type=Path, help="image folder of the COCO file")
    parser.add_argument("--screenshot", metavar="OUT.png", type=Path, help="save a picture of the window and exit")
    parser.add_argument("--no-prefill", action="store_true", help="do not ask the model when an image is opened")
    parser.add_argument("--scheme", choices=("light", "dark"), help="instead of the system's colour scheme")
    parser.add_argument("--size", default="1440x900", metavar="WxH", help="size of the window in a screenshot")
    return parser.parse_args(list(arguments))


def run_demo() -> int:
    """Without a display: says so, and runs the same loop on the sample project without a window."""
    from app import headless

    print(
        "There is no display that answers: running the same loop on the sample project without a window. "
        "On the command line: python -m msarcnn predict | train | evaluate",
        flush=True,
    )
    return headless.main()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit status."""
    options = parse_arguments(sys.argv[1:] if arguments is None else arguments)
    if not has_display():
        if not options.screenshot:
            return run_demo()
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = make_application(options.scheme)
    start_logging()
    return show_window(application, options)


def make_application(scheme: str | None = None) -> QApplication:
    """Sets up Qt: names, style, and a palette that follows the system's colour scheme."""
    QCoreApplication.setOrganizationName(ORGANISATION)
    QCoreApplication.setApplicationName(NAME)
    application = QApplication(sys.argv[:1])
    application.setStyle("Fusion")
    font = application.font()
    if font.pointSizeF() < 10:
        font.setPointSizeF(10)
        application.setFont(font)
    hints = application.styleHints()
    if scheme:
        hints.setColorScheme(Qt.ColorScheme.Dark if scheme == "dark" else Qt.ColorScheme.Light)
    apply_scheme(application, scheme == "dark" if scheme else hints.colorScheme() == Qt.ColorScheme.Dark)
    return application


def apply_scheme(application: QApplication, dark: bool) -> None:
    """Dresses the whole application light or dark."""
    scheme = scheme_of(dark)
    application.setPalette(palette_of(scheme))
    application.setStyleSheet(style_sheet(scheme))


def make_settings() -> "Settings":
    """The user's settings, or the file that MSARCNN_SETTINGS names."""
    from app.storage.settings import Settings

    path = os.environ.get(SETTINGS_VARIABLE)
    return Settings(QSettings(path, QSettings.Format.IniFormat) if path else None)


def show_window(application: QApplication, options: argparse.Namespace) -> int:
    """Shows the window, opens what the command line names, and runs until it is closed."""
    from app.main_window import MainWindow

    window = MainWindow(make_settings(), automatic_prefill=not options.no_prefill)
    install_excepthook(window)

    def follow_scheme(color_scheme: Qt.ColorScheme) -> None:
        if not options.scheme:
            apply_scheme(application, color_scheme == Qt.ColorScheme.Dark)
            set_icons(window)

    application.styleHints().colorSchemeChanged.connect(follow_scheme)
    if options.screenshot:
        take_screenshot(application, window, options)
    else:
        window.offer_tour()
    window.show()
    QTimer.singleShot(0, window, window.models.start_engine)
    QTimer.singleShot(0, window, lambda: set_icons(window))
    if options.paths:
        QTimer.singleShot(0, window, lambda: window.open_paths(options.paths, options.images))
    status = application.exec()
    window.closing.finish()
    return status


def set_icons(window: "MainWindow") -> None:
    """Gives every action its icon in the colours of the palette."""
    palette = window.palette()
    normal = palette.color(palette.ColorRole.WindowText)
    disabled = palette.color(palette.ColorGroup.Disabled, palette.ColorRole.WindowText)
    window.show_icons(lambda name: icon(name, normal, disabled))


def take_screenshot(application: QApplication, window: "MainWindow", options: argparse.Namespace) -> None:
    """Arranges that the window is saved as a picture once its content is complete, and closed."""
    from app.controllers.readiness import Readiness

    width, height = (int(number) for number in options.size.split("x"))
    window.resize(width, height)
    readiness = Readiness(window.session, window.photos, window.prefill, not options.no_prefill, _SCREENSHOT_TIMEOUT_MS)

    def save() -> None:
        out: Path = options.screenshot.absolute()
        window.message_bar.clear()
        saved = out.parent.is_dir() and window.grab().save(str(out))
        if not saved:
            print(f"{out}: the picture cannot be written. Is its folder there and writable?", file=sys.stderr)
        window.closing.finish()
        application.exit(0 if saved else 1)

    readiness.ready.connect(save)
    if not options.paths:
        QTimer.singleShot(0, readiness, readiness.nothing_to_open)


def install_excepthook(window: "MainWindow") -> None:
    """An exception in a slot is logged in full and shown as a sentence: Qt alone would only print it."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QApplication.quit()
            return
        _log.critical("unexpected error", exc_info=(kind, error, trace))
        text = f"Something unexpected went wrong ({kind.__name__}: {error}). Your labels are saved."
        window.messages.post(f"{text} Details: {log_path()}", "error", of_window=True)

    sys.excepthook = hook


def log_path() -> Path:
    """The log file in the platform's place, or below MSARCNN_DATA_DIR."""
    override = os.environ.get("MSARCNN_DATA_DIR")
    place = QStandardPaths.StandardLocation.AppLocalDataLocation
    return Path(override or QStandardPaths.writableLocation(place)) / "logs" / "window.log"


def start_logging() -> None:
    """Writes the log to a bounded file and warnings to the terminal."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.WARNING)
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8"))
    except OSError as error:
        print(f"{path}: no log is written ({error.strerror})", file=sys.stderr)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=handlers, force=True
    )
