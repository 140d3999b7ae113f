"""The dialogs that ask before long work begins: a controller asks, a dialog answers, the controller goes on."""

from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from app.controllers.effort import Effort
from app.controllers.exporting import Exporting
from app.controllers.fine_tuning import FineTuning
from app.controllers.merging import Merging
from app.controllers.videos import Videos
from app.dialogs.effort import EffortDialog
from app.dialogs.export import ExportChoices, ExportDialog, ExportSettings
from app.dialogs.fine_tune import FineTuneDialog, LabelCounts
from app.dialogs.split import SplitDialog
from app.dialogs.video import VideoDialog


class Questions:
    """Opens dialogs over a window; each is modal to it and gone once answered."""

    def __init__(
        self,
        window: QWidget,
        fine_tuning: FineTuning,
        exporting: Exporting,
        videos: Videos,
        merging: Merging,
        effort: Effort,
    ) -> None:
        self._window = window
        self._fine_tuning, self._exporting, self._videos = fine_tuning, exporting, videos
        self._merging, self._effort = merging, effort
        fine_tuning.asked.connect(self._ask_fine_tuning)
        exporting.asked.connect(self._ask_export)
        videos.asked.connect(self._ask_video)
        merging.split_asked.connect(self._ask_split)
        effort.counted.connect(self._show_effort)

    def _ask_fine_tuning(self, counts: LabelCounts) -> None:
        dialog = FineTuneDialog(counts, self._window)
        dialog.started.connect(self._fine_tuning.start)
        _open(dialog)

    def _ask_export(self, start: ExportSettings, choices: ExportChoices) -> None:
        dialog = ExportDialog(start, choices, self._window)
        dialog.chosen.connect(self._exporting.begin)
        _open(dialog)

    def _ask_video(self, video: Path) -> None:
        dialog = VideoDialog(video, self._window)
        dialog.chosen.connect(self._videos.begin)
        _open(dialog)

    def _ask_split(self, images: int, unfinished: int) -> None:
        dialog = SplitDialog(images, unfinished, self._window)
        dialog.chosen.connect(self._merging.split)
        _open(dialog)

    def _show_effort(self, header: list[str], rows: list[list[object]]) -> None:
        dialog = EffortDialog(header, rows, self._window)
        dialog.save_wanted.connect(self._effort.save)
        _open(dialog)


def _open(dialog: QDialog) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
