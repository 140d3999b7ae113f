"""The panels around the canvas: made and arranged here, connected in the main window."""

from PySide6.QtCore import QEvent, QObject, QRect, Qt, QTimer
from PySide6.QtWidgets import QApplication, QDockWidget, QMainWindow, QStyle, QWidget

from app.canvas.heatmap_image import COLOR_MAPS
from app.canvas.scene import PoseScene
from app.controllers.session import Session
from app.panels.heatmap import HeatmapPanel
from app.panels.image_list import ImageListPanel
from app.panels.image_model import ImageListModel
from app.panels.joints import JointsPanel
from app.panels.people import PeoplePanel
from app.panels.predictions import PredictionsPanel
from app.panels.training import TrainingPanel
from app.panels.view import ViewPanel

_WIDTHS = (270, 376)
_LEAST_PEOPLE = 140
"""Pixels for the people, as long as the joints can scroll: the title and three rows."""


class Docks:
    """Images on the left; people, joints and a shared place on the right; training when there is one.

    Predictions, heatmap and view take turns there, so that a laptop's screen shows all joints of a person.
    """

    def __init__(self, window: QMainWindow, session: Session, scene: PoseScene, model: ImageListModel) -> None:
        self._window = window
        document, selection = session.document, session.selection
        self.image_list = ImageListPanel(model, window)
        self.people = PeoplePanel(document, selection, window)
        names, colors = session.skeleton.keypoints, scene.look.colors
        self.joints = JointsPanel(document, selection, session.acceptance_of, names, colors, window)
        self.predictions = PredictionsPanel(window)
        self.heatmap = HeatmapPanel(COLOR_MAPS, window)
        self.view = ViewPanel(window)
        self.training = TrainingPanel(window)
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        images = self._dock("Images", "images", self.image_list, left)
        self._people = self._dock("People", "people", self.people, right)
        joints = self._dock("Joints", "joints", self.joints, right)
        predictions = self._dock("Predictions", "predictions", self.predictions, right)
        self._heatmap = self._dock("Heatmap", "heatmap", self.heatmap, right)
        view = self._dock("View", "view", self.view, right)
        self._training = self._dock("Training", "training", self.training, right)
        window.tabifyDockWidget(predictions, self._heatmap)
        window.tabifyDockWidget(self._heatmap, view)
        predictions.raise_()
        self._shared = [predictions, self._heatmap, view]
        self._behind: QDockWidget | None = None
        self._always = [images, self._people, joints, *self._shared]
        self._wanted = list(self._always)
        self._arranged = False
        self._column = _Column(window, self._people, joints, self._shared)

    @property
    def all(self) -> list[QDockWidget]:
        return [*self._always, self._training]

    @property
    def dragged(self) -> tuple[int, int]:
        """Pixels that somebody has given the joints and the shared place by hand; 0: as many as they need."""
        return self._column.dragged

    def keep_arrangement(self, dragged: tuple[int, int]) -> None:
        """Says that the window has restored the docks as they were left: they are not arranged at first."""
        self._arranged = True
        self._column.dragged = dragged

    def show(self, shown: bool) -> None:
        """Hides all but the training, or shows again those that nobody had closed."""
        if not shown:
            self._wanted = [dock for dock in self._always if not _is_closed(dock)]
        for dock in self._always if not shown else self._wanted:
            dock.setVisible(shown)
        if shown and not self._arranged:
            self._arranged = True
            self._window.resizeDocks([self._always[0], self._people], list(_WIDTHS), Qt.Orientation.Horizontal)
        if shown:
            self._column.fit_soon()

    def hide_training(self) -> None:
        self._training.setVisible(False)

    def raise_training(self) -> None:
        """Shows the training in front of the people."""
        self._training.show()
        self._window.tabifyDockWidget(self._people, self._training)
        self._training.raise_()

    def show_heatmap(self, on: bool) -> None:
        """Brings the heatmap's panel to the front of its place with the heatmap, and what was there back after it."""
        front = next((dock for dock in self._shared if not dock.visibleRegion().isEmpty()), None)
        if on and front is not self._heatmap:
            self._behind = front
            self._heatmap.raise_()
        elif not on and front is self._heatmap and self._behind is not None:
            focus = QApplication.focusWidget()
            if focus is None or not self._heatmap.isAncestorOf(focus):  # else it was switched off in there
                self._behind.raise_()

    def stops(self) -> list[tuple[QWidget, QWidget]]:
        """Every panel with the widget in it that takes the keys first."""
        return [
            (self.image_list, self.image_list.view),
            (self.people, self.people.tree),
            (self.joints, self.joints.table),
            (self.predictions, self.predictions.slider),
            (self.heatmap, self.heatmap.shown),
            (self.view, self.view.brightness),
        ]

    def _dock(self, title: str, name: str, widget: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self._window)
        dock.setObjectName(name)
        dock.setWidget(widget)
        features = QDockWidget.DockWidgetFeature
        dock.setFeatures(features.DockWidgetClosable | features.DockWidgetMovable | features.DockWidgetFloatable)
        self._window.addDockWidget(area, dock)
        return dock


class _Column(QObject):
    """Gives joints and shared place the heights that they need, or somebody has dragged; the rest goes to the people.

    Qt alone gives to all panels and takes from all, so that a window which was small once has lost its joints.
    """

    def __init__(
        self, window: QMainWindow, people: QDockWidget, joints: QDockWidget, shared: list[QDockWidget]
    ) -> None:
        super().__init__(window)
        self._window, self._people, self._joints, self._shared = window, people, joints, shared
        self.dragged = (0, 0)
        """Heights of the joints and of the shared place as somebody has left them; 0: what they need."""
        self._pressed_at = (0, 0)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._fit)
        window.installEventFilter(self)

    def fit_soon(self) -> None:
        """After the window has laid itself out."""
        self._timer.start()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        kind = event.type()
        if kind == QEvent.Type.Resize:
            self.fit_soon()
        elif kind == QEvent.Type.MouseButtonPress:
            self._pressed_at = self._heights()
        elif kind == QEvent.Type.MouseButtonRelease:
            QTimer.singleShot(0, self, self._note_dragged)  # Qt moves the line between two docks in a timer of its own
        return super().eventFilter(watched, event)

    def _note_dragged(self) -> None:
        if self._heights() != self._pressed_at:
            self.dragged = self._heights()

    def _heights(self) -> tuple[int, int]:
        return self._joints.height(), self._column_height() - self._people.height() - self._joints.height()

    def _column_height(self) -> int:
        """Of the three, without the lines between them."""
        line = self._window.style().pixelMetric(QStyle.PixelMetric.PM_DockWidgetSeparatorExtent, None, self._window)
        return self._area().height() - 2 * line

    def _area(self) -> QRect:
        """Where the docks beside the photo are: no higher and no lower than it."""
        central = self._window.centralWidget()
        return central.geometry() if central is not None else QRect()

    def _fit(self) -> None:
        column = [self._people, self._joints, *self._shared]
        area = Qt.DockWidgetArea.RightDockWidgetArea
        if any(dock.isHidden() or dock.isFloating() or self._window.dockWidgetArea(dock) != area for dock in column):
            return  # somebody has arranged it otherwise
        total, (joints, shared) = self._column_height(), self.dragged
        tabs = self._area().bottom() - max(dock.geometry().bottom() for dock in self._shared)
        joints = joints or self._joints.sizeHint().height()
        shared = shared or tabs + max(dock.minimumSizeHint().height() for dock in self._shared)
        joints = max(min(joints, total - shared - _LEAST_PEOPLE), self._joints.minimumSizeHint().height())
        docks = [self._people, self._joints, self._shared[0]]
        self._window.resizeDocks(docks, [total - joints - shared, joints, shared], Qt.Orientation.Vertical)


def _is_closed(dock: QDockWidget) -> bool:
    """Whether a dock was hidden on purpose; before the window is shown the first time, Qt calls all of them hidden."""
    return dock.isHidden() and dock.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
