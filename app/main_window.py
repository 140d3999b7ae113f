"""Puts the window together: which part shows what, and which signal goes where. Decisions are made elsewhere."""

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent, QIcon
from PySide6.QtWidgets import QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from app import actions as action_table
from app.canvas.layers import Layers
from app.canvas.map_grid import MapGrid
from app.canvas.palette import Look
from app.canvas.proposals import Proposals
from app.canvas.scene import PoseScene
from app.canvas.view import CanvasView
from app.connections import connect_background_work, connect_maps, connect_panels
from app.controllers import places
from app.controllers.auditing import Auditing
from app.controllers.backups import Backups
from app.controllers.clipboard import Clipboard
from app.controllers.closing import Closing
from app.controllers.conditions import Conditions
from app.controllers.detections import Detections
from app.controllers.devices import Devices, describe
from app.controllers.editing import Editing
from app.controllers.effort import Effort
from app.controllers.engine_status import EngineStatus
from app.controllers.estimation import Estimation
from app.controllers.exporting import WAITS_FOR_SAVING, Exporting
from app.controllers.fine_tuning import FineTuning
from app.controllers.habits import Habits
from app.controllers.heatmaps import Heatmaps
from app.controllers.import_reports import REPORT, ImportReports
from app.controllers.listing import Listing
from app.controllers.map_answers import MapAnswers
from app.controllers.maps import Maps
from app.controllers.merging import Merging
from app.controllers.messages import Message, Messages
from app.controllers.models import Models
from app.controllers.navigation import Navigation
from app.controllers.opening import IMPORT, Opening
from app.controllers.ordering import Ordering
from app.controllers.peaks import Peaks
from app.controllers.photos import Photos
from app.controllers.prefill import Prefill
from app.controllers.session import Session
from app.controllers.shown_model import ShownModel
from app.controllers.splitting import Splitting
from app.controllers.videos import Videos
from app.controllers.view_state import ViewState
from app.dialogs.ask import FileAsker
from app.dialogs.help import Help
from app.dialogs.maps import MapsWindow
from app.docks import Docks
from app.keys import Keys
from app.menus import add_choices, add_panel_switches, add_recent_projects, fill_menus, make_tool_bar
from app.panel_focus import PanelFocus, SpaceKeeper
from app.panels.empty_state import EmptyState
from app.panels.image_header import ImageHeader
from app.panels.image_model import ImageListModel
from app.panels.message_bar import MessageBar
from app.panels.progress_strip import ProgressStrip
from app.panels.shared_strip import SharedStrip
from app.panels.status import StatusWidgets
from app.panels.tour import Tour
from app.questions import Questions
from app.storage.settings import Settings
from app.storage.shipped import default_skeleton
from app.workers.decoder_client import ImageLoader
from app.workers.engine_client import EngineClient
from app.workers.library_client import LibraryClient
from app.workers.trainer_client import TrainerClient

TITLE = "MSA R-CNN pose labeller"
_TOUR_SEEN = "tour_seen"
_SAVING = "saving"
_REASONS = (IMPORT, REPORT, "roots")
"""Topics of what says already why there are no images."""
_DRAGGED = ("window/joints_height", "window/shared_height")


class MainWindow(QMainWindow):
    """The one window. Its controllers are attributes, for the application and for tests."""

    def __init__(self, settings: Settings, automatic_prefill: bool = True) -> None:
        super().__init__()
        self.setWindowTitle(TITLE)
        self.setAcceptDrops(True)
        self.resize(1440, 900)
        self.settings = settings
        self.maps_window: MapsWindow | None = None
        self._make_controllers(automatic_prefill)
        self._make_central()
        self._make_docks()
        self._make_status_bar()
        self._make_actions()
        self._connect_session()
        connect_panels(self)
        connect_background_work(self)
        self.questions = Questions(self)
        self.restoreGeometry(settings.bytes_value("window/geometry"))
        if self.restoreState(settings.bytes_value("window/state")):
            joints, shared = (settings.value(name, 0) for name in _DRAGGED)
            self.docks.keep_arrangement((joints, shared))
        self.docks.hide_training()
        self._show_project(False)
        self.space_keeper = SpaceKeeper(self)

    # Making

    def _make_controllers(self, automatic_prefill: bool) -> None:
        skeleton = default_skeleton()
        settings, asker = self.settings, FileAsker(self, self.settings)
        self.messages = Messages(self)
        self.session = session = Session(skeleton, self)
        self.layers = Layers(self)
        self.engine, self.loader, self.trainer = EngineClient(self), ImageLoader(self), TrainerClient(self)
        self.devices = Devices(self.engine, self.messages, settings)
        self.model = ImageListModel(self)
        look = Look.of(skeleton.keypoints, skeleton.edges, skeleton.sides, skeleton.colors)
        self.proposals = Proposals(session.document, session.selection, self.layers, session.acceptance_of, self)
        self.scene = PoseScene(session.document, session.selection, self.layers, self.proposals, look, self)
        self.view_state = ViewState(self.layers, settings)
        self.listing = Listing(session, self.model)
        self.navigation = Navigation(self.model, session.selection)
        self.photos = Photos(session, self.loader, self.scene, self.model, self.navigation, self.messages)
        self.habits = Habits(session)
        self.ordering = Ordering(session, self.model, self.messages)
        self.estimation = Estimation(session, self.engine, self.messages, settings)
        self.editing = Editing(session, self.scene, self.proposals, self.estimation, self.navigation, self.messages)
        self.clipboard = Clipboard(session, self.editing, self.navigation, self.messages)
        answers = MapAnswers(session, self.engine)
        self.heatmaps = Heatmaps(session, self.engine, self.scene, self.layers, answers)
        self.peaks = Peaks(session, self.editing, self.heatmaps, answers, self.messages)
        self.maps = Maps(session, self.engine, self.scene, self.layers, self.heatmaps, answers, self.messages, asker)
        self.shown_model = ShownModel(session, self.engine)
        self.prefill = Prefill(session, self.engine, self.model, self.messages, settings, automatic_prefill)
        self.import_reports = ImportReports(session, self.messages, asker)
        self.opening = Opening(session, self.messages, settings, asker, self.import_reports)
        self.exporting = Exporting(session, self.model, self.messages, asker)
        self.detections = Detections(session, self.model, self.messages, asker)
        self.merging = Merging(session, self.messages, asker, self.import_reports)
        self.splitting = Splitting(session, self.messages, asker)
        self.videos = Videos(self.opening, self.messages, asker, self)
        self.backups = Backups(session, self.messages)
        self.effort = Effort(session, self.messages, asker)
        self.auditing = Auditing(session, self.engine, self.messages)
        self.models = Models(session, self.engine, LibraryClient(self), self.messages, settings, asker)
        self.fine_tuning = FineTuning(
            session, self.trainer, self.model, self.models, self.messages, self.scene.key_names
        )
        self.engine_status = EngineStatus(self.engine, self.models, self.messages)
        self.conditions = Conditions(
            session, self.layers, self.prefill, self.estimation, self.fine_tuning, self.clipboard
        )
        self.closing = Closing(
            session,
            self.messages,
            self.fine_tuning,
            self.prefill,
            [
                self.opening,
                self.exporting,
                self.detections,
                self.merging,
                self.splitting,
                self.videos,
                self.effort,
                self.auditing,
                self.ordering,
                self.models,
            ],
            self.engine,
            self.loader,
            self.close,
        )

    def _make_central(self) -> None:
        self.canvas = CanvasView(self.scene, self.editing, self)
        self.empty = EmptyState(self)
        self.header = ImageHeader(self)
        self.desk = QWidget(self)
        desk = QVBoxLayout(self.desk)
        desk.setContentsMargins(0, 0, 0, 0)
        desk.setSpacing(0)
        desk.addWidget(self.header)
        desk.addWidget(self.canvas, 1)
        self.central = QStackedWidget(self)
        self.central.addWidget(self.empty)
        self.central.addWidget(self.desk)
        self.setCentralWidget(self.central)
        self.message_bar = MessageBar(self.central)
        # A page that is shown comes to lie over what was said before.
        self.central.currentChanged.connect(lambda _: self.message_bar.raise_())
        self.tour = Tour(self.central)

    def _make_docks(self) -> None:
        self.docks = docks = Docks(self, self.session, self.scene, self.model)
        self.image_list, self.people, self.joints = docks.image_list, docks.people, docks.joints
        self.predictions, self.training = docks.predictions, docks.training
        self.heatmap_panel, self.view_panel = docks.heatmap, docks.view

    def _make_status_bar(self) -> None:
        bar = self.statusBar()
        self.prefill_strip, self.job_strip = ProgressStrip(bar), SharedStrip(bar)
        bar.addPermanentWidget(self.job_strip)
        bar.addPermanentWidget(self.prefill_strip)
        self.status = StatusWidgets(bar)

    def _make_actions(self) -> None:
        self.help = Help(self, self._facts)
        stops: list[tuple[QWidget, QWidget]] = [(self.canvas, self.canvas), (self.header, self.header.note)]
        self.focus = PanelFocus([*stops, *self.docks.stops()], self.image_list.search)
        controllers: dict[str, object] = {
            "window": self,
            "opening": self.opening,
            "exporting": self.exporting,
            "detections": self.detections,
            "merging": self.merging,
            "splitting": self.splitting,
            "backups": self.backups,
            "videos": self.videos,
            "effort": self.effort,
            "auditing": self.auditing,
            "import_reports": self.import_reports,
            "navigation": self.navigation,
            "editing": self.editing,
            "clipboard": self.clipboard,
            "estimation": self.estimation,
            "peaks": self.peaks,
            "prefill": self.prefill,
            "models": self.models,
            "fine_tuning": self.fine_tuning,
            "canvas": self.canvas,
            "layers": self.layers,
            "message_bar": self.message_bar,
            "focus": self.focus,
            "help": self.help,
        }
        self.actions_by_id = action_table.build_actions(self, self.canvas, controllers)
        self.keys = Keys(self.actions_by_id, self.settings, self)
        self.help.set_keys(self.keys)
        menus = fill_menus(self, self.actions_by_id)
        self.tools = make_tool_bar(self, self.actions_by_id)
        self.header.set_flag_action(self.actions_by_id["flag_image"])
        self.view_panel.set_fade_action(self.actions_by_id["toggle_fade"])
        add_recent_projects(
            menus["File"],
            self.actions_by_id["open_sample"],
            self.settings.recent_projects,
            lambda path: self.opening.open_paths([path]),
        )
        add_panel_switches(menus["View"], self.docks.all, self.tools)
        add_choices(menus["Predict"], "Predictions o&f", self.shown_model.choices, self.shown_model.choose)
        add_choices(menus["Predict"], "&Device", self.devices.choices, self.devices.choose)

    # Connecting

    def _connect_session(self) -> None:
        session, selection = self.session, self.session.selection
        session.opened.connect(lambda: self._show_project(True))
        session.opened.connect(lambda: self.scene.set_read_only(session.read_only))
        session.opened.connect(self._first_image)
        session.closed.connect(lambda: self._show_project(False))
        session.saved.connect(self.status.show_saved)
        session.not_saved.connect(self.status.show_not_saved)
        session.not_saved.connect(self._say_not_saved)
        session.saved.connect(lambda pending: self._settle_saving() if pending == 0 else None)
        session.set_aside.connect(lambda count, _: self.status.show_set_aside(count))
        session.set_aside.connect(lambda _, text: self.messages.post(text, "error", topic="set aside"))
        session.left_behind.connect(lambda text: self.messages.post(text, "error", of_window=True))
        session.document.edit_refused.connect(lambda text: self.messages.post(text, "warning"))
        selection.image_changed.connect(self.image_list.show_current)
        # A gesture belongs to the image on which it began.
        selection.image_changed.connect(lambda _: self.canvas.use_select())
        selection.image_changed.connect(self._focus_canvas)
        session.closing.connect(self.header.hand_over_note)
        self.conditions.changed.connect(self._refresh_actions)
        self.messages.posted.connect(self._show_message)
        self.messages.settled.connect(self.message_bar.dismiss_topic)
        self.messages.project_left.connect(self.message_bar.dismiss_project)
        self.opening.title_changed.connect(lambda title: self.setWindowTitle(f"{title} – {TITLE}"))
        session.acceptance_changed.connect(self.proposals.forget)
        self.engine_status.changed.connect(self.status.model.setText)

    # Showing

    def show_icons(self, icon: Callable[[str], QIcon]) -> None:
        """Gives the actions their icons; later than the window, since the icon fonts take a while to load."""
        action_table.set_icons(self.actions_by_id, icon)

    def open_paths(self, paths: Sequence[Path], images: Path | None = None) -> None:
        self.opening.open_paths(paths, images)

    def _show_project(self, is_open: bool) -> None:
        self.central.setCurrentWidget(self.desk if is_open else self.empty)
        self.docks.show(is_open)
        self.tools.setVisible(is_open)
        self.status.hint.setVisible(is_open)
        if not is_open:
            self.setWindowTitle(TITLE)
            self.status.clear_saved()
            recent = self.settings.recent_projects()
            self.empty.show_recent([(str(path), places.title_of(path)) for path in recent])
        else:
            self.status.show_saved(0)
        self._refresh_actions()

    def _first_image(self) -> None:
        self.session.selection.current_image = self.opening.asked_image()
        if self.session.selection.current_image is None:
            self.navigation.next_unfinished()
        if self.session.selection.current_image is None:
            self.navigation.next()
        if self.model.total == 0 and not self.message_bar.waits_about(*_REASONS):
            self.messages.post("There are no images here that can be read. Open another folder.", "warning")

    def _focus_canvas(self, image: int | None) -> None:
        # Somebody who goes through the list by its arrow keys stays there.
        if image is not None and not self.image_list.view.hasFocus():
            self.canvas.setFocus()

    def _refresh_actions(self) -> None:
        action_table.set_enabled(self.actions_by_id, self.conditions.now())
        action_table.set_checked(self.actions_by_id, self.conditions.layers())
        self.predictions.set_available(self.actions_by_id["prefill_image"].isEnabled())

    def edit_note(self) -> None:
        """Puts the cursor into the note on the current image."""
        self.header.edit_note()

    def show_maps(self) -> None:
        """Opens the window with all maps of the selected person."""
        if self.maps_window is None:
            grid = MapGrid()
            self.maps_window = MapsWindow(grid, self)
            connect_maps(self.maps, self.maps_window, grid)
        self.maps_window.show()
        self.maps_window.raise_()

    def show_layers(self) -> None:
        self.predictions.set_threshold(self.layers.threshold)
        look = self.layers.heatmap
        shown = self.layers.shows("heatmap")
        self.heatmap_panel.show_state(shown, look.everything, look.logarithmic, look.colors, look.opacity)
        photo = self.layers.adjustments
        self.view_panel.show_adjustments(photo.brightness, photo.contrast, photo.gamma)

    def _show_message(self, message: Message) -> None:
        self.message_bar.show_message(
            message.text, message.level, message.choices, message.topic, message.dismissed, message.of_window
        )

    def _say_not_saved(self, text: str) -> None:
        """Without edits that wait, it is about damage to the file: that does not go when edits are saved."""
        waits = self.session.is_open and self.session.store.pending > 0
        self.messages.post(text, "error", topic=_SAVING if waits else "damage")

    def _settle_saving(self) -> None:
        for topic in (_SAVING, WAITS_FOR_SAVING):
            self.messages.settle(topic)

    def show_tour(self) -> None:
        """The five hints, with the keys as they are now."""
        keys = {action: (self.keys.of(action) or (self.keys.text(action),))[0] for action in self.actions_by_id}
        self.tour.begin(keys)

    def offer_tour(self) -> None:
        """Shows the hints when the first project of a new user is open, and never again by itself."""
        if not self.settings.value(_TOUR_SEEN, False):
            self.session.opened.connect(self.show_tour, Qt.ConnectionType.SingleShotConnection)
            self.tour.ended.connect(lambda: self.settings.set_value(_TOUR_SEEN, True))

    def _facts(self) -> list[tuple[str, str]]:
        info = self.engine.info
        path = self.session.path
        return [
            ("Model", f"{info.name} ({info.hash})" if info else "none"),
            ("Device", describe(info.device_info) if info else "–"),
            ("Project", str(path) if path else "–"),
        ]

    # Qt's events

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.WindowBlocked:
            self.canvas.let_go()  # the dialog gets the release of the button
        return super().event(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if QUrl.isLocalFile(url)]
        if paths:
            self.open_paths(paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.closing.may_close():
            event.ignore()
            return
        self.settings.set_bytes("window/geometry", self.saveGeometry())
        if self.session.is_open:  # without a project, all docks are hidden
            self.settings.set_bytes("window/state", self.saveState())
            for name, height in zip(_DRAGGED, self.docks.dragged, strict=True):
                self.settings.set_value(name, height)
        self.hide()  # nobody has to watch how the children end
        self.closing.finish()
        event.accept()
