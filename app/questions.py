"""The dialogs that ask before long work begins: a controller asks, a dialog answers, the controller goes on."""

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog

from app.controllers.messages import Message
from app.dialogs.audit import AuditWindow
from app.dialogs.choice import ChoiceDialog
from app.dialogs.effort import EffortDialog
from app.dialogs.export import ExportChoices, ExportDialog, ExportSettings
from app.dialogs.fine_tune import FineTuneDialog, LabelCounts
from app.dialogs.import_report import ImportReportDialog
from app.dialogs.models import ModelsDialog
from app.dialogs.split import SplitDialog
from app.dialogs.video import VideoDialog
from app.panels.message_bar import shortened
from app.storage.import_report import ReadReport

if TYPE_CHECKING:
    from app.main_window import MainWindow


class Questions:
    """Opens dialogs over a window; each is modal to it and gone once answered."""

    def __init__(self, window: "MainWindow") -> None:
        self._window = window
        self._fine_tuning, self._exporting, self._videos = window.fine_tuning, window.exporting, window.videos
        self._splitting, self._effort, self._reports = window.splitting, window.effort, window.import_reports
        self._messages, self._models = window.messages, window.models
        self._messages.listed.connect(self._show_choices)
        self._fine_tuning.asked.connect(self._ask_fine_tuning)
        self._models.asked.connect(self._show_models)
        self._exporting.asked.connect(self._ask_export)
        self._videos.asked.connect(self._ask_video)
        self._splitting.asked.connect(self._ask_split)
        self._effort.counted.connect(self._show_effort)
        self._audit: AuditWindow | None = None
        window.auditing.asked.connect(self._show_audit)
        self._reports.shown.connect(self._show_import_report)

    def _ask_fine_tuning(self, counts: LabelCounts) -> None:
        models = self._models
        dialog = FineTuneDialog(counts, self._window, models.name_in_use, models.in_use)
        dialog.show_models(models.known)
        dialog.show_devices(self._window.devices.choices())
        models.listed.connect(dialog.show_models)
        models.refresh()
        dialog.started.connect(self._fine_tuning.start)
        _open(dialog)

    def _show_models(self) -> None:
        """The controller speaks to the dialog while that is open."""
        if self._models.shown:
            return
        models = self._models
        dialog = ModelsDialog(self._window)
        dialog.use_wanted.connect(models.use_entry)
        dialog.download_wanted.connect(models.download)
        dialog.cancel_wanted.connect(models.cancel)
        dialog.add_wanted.connect(models.ask_file)
        dialog.folder_wanted.connect(models.show_in_folder)
        dialog.remove_wanted.connect(models.remove)
        models.listed.connect(dialog.show_models)
        models.said.connect(dialog.say)
        models.download_progress.connect(dialog.show_progress)
        models.download_ended.connect(dialog.end_download)
        models.in_use_changed.connect(dialog.show_in_use)
        models.shown = True
        dialog.finished.connect(lambda _: setattr(models, "shown", False))
        dialog.show_in_use(models.in_use)
        dialog.show_models(models.known)
        if models.downloading:
            dialog.show_progress(models.downloading, *models.arrived)
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
        dialog.chosen.connect(self._splitting.begin)
        _open(dialog)

    def _show_audit(self) -> None:
        """The window stays while labels are mended, and is kept."""
        if self._audit is None:
            auditing, self._audit = self._window.auditing, AuditWindow(self._window)
            self._audit.begin_wanted.connect(auditing.begin)
            self._audit.chosen.connect(auditing.go_to)
            self._audit.right_wanted.connect(auditing.call_right)
            auditing.listed.connect(self._audit.show_findings)
            auditing.said.connect(self._audit.show_status)
        self._audit.show()
        self._audit.raise_()

    def _show_effort(self, header: list[str], rows: list[list[object]]) -> None:
        dialog = EffortDialog(header, rows, self._window)
        dialog.save_wanted.connect(self._effort.save)
        _open(dialog)

    def _show_import_report(self, report: ReadReport) -> None:
        dialog = ImportReportDialog(report.summary(), report.text(), self._window)
        dialog.save_wanted.connect(self._reports.save)
        _open(dialog)

    def _show_choices(self, question: Message) -> None:
        """Goes with the question: an answer to what does not hold any more would be given to something else."""
        answers = [text for text, _ in question.choices]
        dialog = ChoiceDialog(shortened(question.text), answers, question.topic, self._window)
        dialog.chosen.connect(lambda place: question.choices[place][1]())
        dialog.rejected.connect(
            lambda: self._messages.ask(
                question.text, question.choices, question.topic, question.dismissed, question.level
            )
        )
        self._messages.project_left.connect(dialog.withdraw)
        self._messages.settled.connect(dialog.settle)
        _open(dialog)


def _open(dialog: QDialog) -> None:
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()
