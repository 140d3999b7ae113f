"""The view: zoom, pan, and the pointer handed to the current tool."""

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QGraphicsView, QWidget

from app.canvas.editor import Editor
from app.canvas.hit_test import Hit, hit_test
from app.canvas.scene import PoseScene
from app.canvas.tools.base import PointerEvent, Tool
from app.canvas.tools.draw_box import DrawBoxTool
from app.canvas.tools.place_joints import PlaceJointsTool
from app.canvas.tools.select import SelectTool

_MOST_PIXELS = 40.0
"""Largest zoom: screen pixels per image pixel."""
_WHEEL_STEP = 480.0
"""Wheel units (an eighth of a degree) that double the scale."""
_FIT_MARGIN = 14


class CanvasView(QGraphicsView):
    """Shows a `PoseScene`. Wheel zooms at the cursor; the middle button, or Space held, pans."""

    pointer_moved = Signal(float, float)
    """Position in pixels of the upright image."""
    pointer_left = Signal()
    hovered = Signal(object)
    """Hit: what lies under the pointer now, where that is something else than before; no button is held."""
    hint_changed = Signal(str)
    """One line about what the current tool does."""
    tool_changed = Signal()
    space_tapped = Signal()
    """Space went down and up without a pan in between."""
    scale_changed = Signal(float)

    def __init__(self, scene: PoseScene, editor: Editor, parent: QWidget | None = None) -> None:
        super().__init__(scene, parent)
        self.pose_scene = scene
        self._editor = editor
        self._select = SelectTool(scene, editor)
        self._tool: Tool = self._select
        self._fitted = True
        self._pan_from: QPoint | None = None
        self._pan_button = Qt.MouseButton.NoButton
        self._space = self._space_panned = False
        self._hit = Hit()
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QGraphicsView.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAcceptDrops(False)
        scene.extent_changed.connect(self.fit)
        scene.person_selected.connect(self._check_person)
        scene.proposals_shown.connect(self._check_gesture)
        scene.key_names.changed.connect(self._show_hint)

    # Looking

    @property
    def screen_scale(self) -> float:
        """Screen pixels per image pixel."""
        return self.transform().m11()

    def fit(self) -> None:
        """Shows the whole photo, and keeps doing so when the window changes its size."""
        self._fitted = True
        width, height = self.pose_scene.image_extent()
        if width and height:
            margin = _FIT_MARGIN
            room = self.viewport().rect().adjusted(margin, margin, -margin, -margin)
            scale = min(room.width() / width, room.height() / height)
            self.resetTransform()
            self.scale(scale, scale)
            self.centerOn(QPointF(width / 2, height / 2))
        self._announce_scale()

    def one_to_one(self) -> None:
        """One image pixel a screen pixel."""
        self.zoom_to(1.0 / self.devicePixelRatioF(), self.viewport().rect().center())

    def zoom_to(self, scale: float, anchor: QPoint) -> None:
        """Sets the scale; what lies under `anchor` (viewport pixels) stays there."""
        scale = min(max(scale, self._least_scale()), _MOST_PIXELS)
        before = self.mapToScene(anchor)
        factor = scale / self.screen_scale
        self.scale(factor, factor)
        moved = self.mapFromScene(before) - anchor
        self._scroll(moved)
        self._fitted = False
        self._announce_scale()

    def _least_scale(self) -> float:
        width, height = self.pose_scene.image_extent()
        view = self.viewport().rect()
        fitting = min(view.width() / width, view.height() / height) if width and height else 1.0
        return min(fitting, 1.0) / 4

    def _scroll(self, way: QPoint) -> None:
        horizontal, vertical = self.horizontalScrollBar(), self.verticalScrollBar()
        horizontal.setValue(horizontal.value() + way.x())
        vertical.setValue(vertical.value() + way.y())

    def _announce_scale(self) -> None:
        self.pose_scene.set_unit(1.0 / self.screen_scale)
        self.scale_changed.emit(self.screen_scale)

    # Tools

    def draw_new_person(self) -> None:
        """The next drag draws the box of a new person."""
        self._use(DrawBoxTool(self.pose_scene, self._editor, self.use_select))

    def place_joints(self) -> None:
        """The next clicks place the selected person's joints, one after the other."""
        person = self.pose_scene.selected_person()
        if person is not None:
            order = self.pose_scene.placing_order
            self._use(PlaceJointsTool(self.pose_scene, self._editor, person, order, self._end_placing))

    def _end_placing(self) -> None:
        self.use_select()
        # Nobody has selected the joint that was asked for last: the next Del is not about it.
        self.pose_scene.select(self.pose_scene.selected_person())

    def skip_joint(self) -> None:
        """Leaves the joint that `place_joints` asks for as it is."""
        if isinstance(self._tool, PlaceJointsTool):
            self._tool.skip()
            self._show_hint()

    @property
    def placing(self) -> bool:
        """Whether clicks place joints at the moment."""
        return isinstance(self._tool, PlaceJointsTool)

    def use_select(self) -> None:
        """The everyday tool; a gesture under way is cancelled."""
        self._use(self._select)

    def cancel(self) -> bool:
        """Esc: cancels the gesture, else the tool; returns whether there was something to cancel."""
        if self._tool.cancel():
            return True
        if isinstance(self._tool, PlaceJointsTool):
            self._end_placing()
        elif self._tool is not self._select:
            self.use_select()
        else:
            return False
        return True

    def let_go(self) -> None:
        """Cancels the gesture and ends a pan, but not the tool: whoever holds the button is interrupted."""
        self._tool.cancel()
        self._end_pan()

    def _check_person(self, person: int | None) -> None:
        """Labels or selection have changed; `person` is selected. Nobody drags, or places joints of, who is gone."""
        self._check_gesture()
        if isinstance(self._tool, PlaceJointsTool):
            if self._tool.person != person:
                self.use_select()
            else:
                self._tool.follow()
                self._show_hint()

    def _check_gesture(self) -> None:
        gesture = self._tool.gesture
        if gesture is not None and not gesture.holds():
            self._tool.cancel()

    def _use(self, tool: Tool) -> None:
        self._tool.cancel()
        self._tool = tool
        self._show_hint()
        self.tool_changed.emit()
        self.viewport().setCursor(tool.cursor(PointerEvent(0, 0), Hit()))

    def _show_hint(self) -> None:
        self.hint_changed.emit(self.pose_scene.key_names.hint(self._tool.hint))

    def _pointer(self, event: QMouseEvent) -> PointerEvent:
        place = self.mapToScene(event.position().toPoint())
        modifiers = event.modifiers()
        return PointerEvent(
            place.x(),
            place.y(),
            self.screen_scale,
            bool(modifiers & Qt.KeyboardModifier.ShiftModifier),
            bool(modifiers & Qt.KeyboardModifier.ControlModifier),
        )

    # Events

    def mousePressEvent(self, event: QMouseEvent) -> None:
        button = event.button()
        if button == Qt.MouseButton.LeftButton:
            self._tool.cancel()  # a gesture that is still there has lost its release
        if button == Qt.MouseButton.MiddleButton or (self._space and button == Qt.MouseButton.LeftButton):
            self._pan_from, self._pan_button = event.position().toPoint(), button
            self._space_panned = True
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
        elif button == Qt.MouseButton.LeftButton:
            self._tool.press(self._pointer(event))
        elif button == Qt.MouseButton.RightButton:
            self._tool.context_press(self._pointer(event))
            self._show_hint()

    def _drop_lost(self, held: Qt.MouseButton) -> None:
        """Ends what a button began that is not held any more: a dialog or another window had its release."""
        if self._tool.gesture and not held & Qt.MouseButton.LeftButton:
            self._tool.cancel()
        if not held & self._pan_button:
            self._end_pan()

    def _end_pan(self) -> None:
        if self._pan_from is not None:
            self._pan_from = None
            self.viewport().setCursor(Qt.CursorShape.OpenHandCursor if self._space else Qt.CursorShape.ArrowCursor)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._drop_lost(event.buttons())
        if self._pan_from is not None:
            here = event.position().toPoint()
            self._scroll(self._pan_from - here)
            self._pan_from = here
            self._fitted = False
            return
        pointer = self._pointer(event)
        self._tool.move(pointer)
        hit = Hit()
        if not event.buttons():
            hit = hit_test(pointer.x, pointer.y, pointer.scale, self.pose_scene.visible())
        if not self._space:
            self.viewport().setCursor(self._tool.cursor(pointer, hit))
        self._hover(hit)
        self.pointer_moved.emit(pointer.x, pointer.y)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if self._pan_from is not None and event.button() == self._pan_button:
            self._end_pan()
        elif event.button() == Qt.MouseButton.LeftButton:
            self._tool.release(self._pointer(event))
            self._show_hint()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.mousePressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        event.accept()  # the right button cycles a joint's visibility

    def wheelEvent(self, event: QWheelEvent) -> None:
        delta = event.angleDelta().y() or event.angleDelta().x()
        self.zoom_to(self.screen_scale * 2 ** (delta / _WHEEL_STEP), event.position().toPoint())
        event.accept()

    def event(self, event: QEvent) -> bool:
        # Space alone is a shortcut everywhere else; here it may become a pan, so the view takes it first.
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and is_space(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if is_space(event):
            if not event.isAutoRepeat():
                self._space, self._space_panned = True, False
                self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
        else:
            event.ignore()  # the view's own scrolling keys are the window's shortcuts

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat() and self._space:
            self._space = False
            self.viewport().setCursor(Qt.CursorShape.ArrowCursor)
            if not self._space_panned:
                self.space_tapped.emit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._space = False
        super().focusOutEvent(event)

    def focusNextPrevChild(self, next: bool) -> bool:
        return False  # Tab goes from joint to joint

    def _hover(self, hit: Hit) -> None:
        if hit != self._hit:
            self._hit = hit
            self.hovered.emit(hit)

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(Hit())
        self.pointer_left.emit()
        super().leaveEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self._fitted:
            self.fit()


def is_space(event: QKeyEvent) -> bool:
    """Whether it is Space without Ctrl, Shift and the like."""
    return event.key() == Qt.Key.Key_Space and event.modifiers() == Qt.KeyboardModifier.NoModifier
