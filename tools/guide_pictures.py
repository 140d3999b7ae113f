"""Makes the user guide's pictures from the app itself, on drawn people (nobody's photo is in them).

    python tools/guide_pictures.py [--output docs/images]

Every picture is a state that a user can be in, reached by the actions of the table: light and dark, empty, busy, 50
people, a display scaled to 200 %.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

SIZE = (1440, 900)
_SECONDS = 60.0


def make(output: Path, dark: bool) -> None:
    """Goes through the states once in one scheme."""
    from PySide6.QtCore import QPoint, Qt, QTimer
    from PySide6.QtTest import QTest

    from app import application as program
    from app.document.records import Box
    from app.main_window import MainWindow
    from msarcnn.resources import resource_path

    application = program.make_application("dark" if dark else "light")
    window = MainWindow(program.make_settings())
    window.resize(*SIZE)
    palette = window.palette()
    normal, disabled = palette.color(palette.ColorRole.WindowText), palette.color(palette.ColorRole.PlaceholderText)
    from app.icons import icon

    window.show_icons(lambda name: icon(name, normal, disabled))
    window.show()
    tone = "dark" if dark else "light"

    def wait(condition: Callable[[], bool]) -> None:
        for _ in range(round(_SECONDS * 50)):
            if condition():
                break
            QTest.qWait(20)
        else:
            sys.exit("the window did not come to the state that a picture is to be taken of")
        QTest.qWait(200)

    def save(name: str) -> None:
        window.message_bar.clear()
        QTest.qWait(300)
        window.grab().save(str(output / f"{name}.png"))

    def shown() -> bool:
        record = window.session.current_record()
        return record is not None and window.scene.has_photo

    def click(x: float, y: float) -> None:
        QTest.mouseClick(window.canvas.viewport(), Qt.MouseButton.LeftButton, pos=window.canvas.mapFromScene(x, y))

    save(f"guide_empty_{tone}")
    window.engine.start(None)
    wait(lambda: window.engine.info is not None)
    sample = resource_path("sample")
    window.open_paths([sample / "images"])
    wait(shown)
    wait(lambda: bool(window.session.current_record() and window.session.current_record().model))  # type: ignore[union-attr]
    save("guide_window" if dark else "guide_window_light")
    window.actions_by_id["accept_and_go_on"].trigger()
    wait(shown)
    wait(lambda: bool(window.scene.shown_predictions()))
    first = window.scene.shown_predictions()[0]
    window.session.selection.prediction = first.key
    window.actions_by_id["accept"].trigger()
    window.session.selection.joint = 9
    window.layers.switch("heatmap", True)
    QTest.qWait(1500)
    save(f"guide_heatmap_{tone}")
    window.layers.switch("heatmap", False)
    window.automatic_off = window.prefill.toggle_automatic()  # type: ignore[attr-defined,func-returns-value]
    window.navigation.next()
    wait(shown)
    width, height = window.scene.image_extent()
    window.engine.close()
    window.editing.add_person(Box(width * 0.3, height * 0.15, width * 0.35, height * 0.75))
    window.canvas.place_joints()
    for x, y in ((0.47, 0.22), (0.49, 0.2), (0.45, 0.2)):
        click(width * x, height * y)
    window.canvas.setFocus()
    QTest.mouseMove(window.canvas.viewport(), QPoint(300, 300))
    save("guide_placing" if dark else "guide_placing_light")
    window.canvas.cancel()
    window.actions_by_id["keys"].trigger()
    QTest.qWait(300)
    QTimer.singleShot(0, application.quit)
    window.closing.finish()
    window.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    parser.add_argument("--scheme", choices=("light", "dark"), help="only this one, in this process")
    options = parser.parse_args()
    if options.scheme:
        make(options.output.absolute(), options.scheme == "dark")
        return
    for scheme, scale in (("dark", "1"), ("light", "1")):
        with tempfile.TemporaryDirectory() as data:
            environment = os.environ | {
                "QT_QPA_PLATFORM": "offscreen",
                "QT_SCALE_FACTOR": scale,
                "MSARCNN_DATA_DIR": data,
                "MSARCNN_SETTINGS": str(Path(data) / "settings.ini"),
            }
            command = [sys.executable, __file__, "--scheme", scheme, "--output", str(options.output.absolute())]
            subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
