"""The panels around the canvas: made and arranged here, connected in the main window."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDockWidget, QMainWindow, QWidget

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
_HEIGHTS = (180, 400, 110, 110)


class Docks:
    """Images on the left; people, joints, predictions, and heatmap or view on the right; training when there is one."""

    def __init__(self, window: QMainWindow, session: Session, scene: PoseScene, model: ImageListModel) -> None:
        self._window = window
        document, selection = session.document, session.selection
        self.image_list = ImageListPanel(model, window)
        self.people = PeoplePanel(document, selection, window)
        names, colors = session.skeleton.keypoints, scene.look.colors
        self.joints = JointsPanel(document, selection, session.tau_of, names, colors, window)
        self.predictions = PredictionsPanel(window)
        self.heatmap = HeatmapPanel(window)
        self.view = ViewPanel(window)
        self.training = TrainingPanel(window)
        left, right = Qt.DockWidgetArea.LeftDockWidgetArea, Qt.DockWidgetArea.RightDockWidgetArea
        images = self._dock("Images", "images", self.image_list, left)
        self._people = self._dock("People", "people", self.people, right)
        joints = self._dock("Joints", "joints", self.joints, right)
        predictions = self._dock("Predictions", "predictions", self.predictions, right)
        heatmap = self._dock("Heatmap", "heatmap", self.heatmap, right)
        view = self._dock("View", "view", self.view, right)
        self._training = self._dock("Training", "training", self.training, right)
        window.tabifyDockWidget(heatmap, view)
        heatmap.raise_()
        self._column = [self._people, joints, predictions, heatmap]
        self._always = [images, *self._column, view]
        self._wanted = list(self._always)
        self._arranged = False

    @property
    def all(self) -> list[QDockWidget]:
        return [*self._always, self._training]

    def show(self, shown: bool) -> None:
        """Hides all but the training, or shows again those that nobody had closed."""
        if not shown:
            self._wanted = [dock for dock in self._always if not _is_closed(dock)]
        for dock in self._always if not shown else self._wanted:
            dock.setVisible(shown)
        if shown and not self._arranged:
            self._arranged = True
            self._window.resizeDocks([self._always[0], self._people], list(_WIDTHS), Qt.Orientation.Horizontal)
            self._window.resizeDocks(self._column, list(_HEIGHTS), Qt.Orientation.Vertical)

    def hide_training(self) -> None:
        self._training.setVisible(False)

    def raise_training(self) -> None:
        """Shows the training in front of the people."""
        self._training.show()
        self._window.tabifyDockWidget(self._people, self._training)
        self._training.raise_()

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


def _is_closed(dock: QDockWidget) -> bool:
    """Whether a dock was hidden on purpose; before the window is shown the first time, Qt calls all of them hidden."""
    return dock.isHidden() and dock.testAttribute(Qt.WidgetAttribute.WA_WState_ExplicitShowHide)
