"""What a tool is: pointer events in, live preview on the scene, one request to the editor at the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import Qt

from app.canvas.editor import Editor
from app.canvas.hit_test import EDGE_RADIUS, Hit, Visible, nearest_on_image
from app.commands.predictions import Proposal
from app.document.records import Box, Person

DRAG_DISTANCE = 3.0
"""Screen pixels that the pointer must travel before a press becomes a drag: a click never moves a label."""
_ROUNDING = 1e-6
"""Whole screen pixels come back from image coordinates a little too short."""


@dataclass(frozen=True, slots=True)
class PointerEvent:
    """A pointer event in pixels of the upright image; scale is screen pixels per image pixel."""

    x: float
    y: float
    scale: float = 1.0
    shift: bool = False
    ctrl: bool = False

    def on_image(self, extent: tuple[int, int]) -> tuple[float, float]:
        """The nearest place on an image of this width and height (0: unknown)."""
        return nearest_on_image(self.x, self.y, extent)

    def means_image(self, extent: tuple[int, int]) -> bool:
        """Whether it points at the image, or so little beside it that its edge is meant."""
        x, y = self.on_image(extent)
        return max(abs(x - self.x), abs(y - self.y)) * self.scale <= EDGE_RADIUS


class Stage(Protocol):
    """What a tool may see and do on the canvas."""

    def visible(self) -> Visible: ...

    def image_extent(self) -> tuple[int, int]: ...

    def person(self, key: int) -> Person: ...

    def has_person(self, key: int) -> bool: ...

    def proposal(self, key: int) -> Proposal | None: ...

    def joint_to_place(self) -> tuple[int, int] | None: ...

    def preview_person(self, person: Person, proposed: bool = False) -> None: ...

    def preview_box_of(self, person: Person, proposed: bool = False) -> None: ...

    def snapped(self, x: float, y: float) -> tuple[float, float]: ...

    def end_preview(self) -> None: ...

    def preview_box(self, box: Box | None, text: str = "") -> None: ...

    def preview_joints(self, person: int | None, joints: Sequence[int]) -> None: ...

    def select(self, person: int | None, joint: int | None = None, prediction: int | None = None) -> None: ...

    def select_joints(self, person: int, joints: Sequence[int]) -> None: ...


class Gesture:
    """One drag, from press to release. Nothing but the preview changes before `release`."""

    cursor = Qt.CursorShape.ArrowCursor

    def __init__(self, stage: Stage, editor: Editor, start: PointerEvent) -> None:
        self.stage, self.editor, self.start = stage, editor, start
        self.dragging = False

    def move(self, event: PointerEvent) -> None:
        """Follows the pointer once it has left the place of the press."""
        travelled = max(abs(event.x - self.start.x), abs(event.y - self.start.y)) * event.scale
        self.dragging = self.dragging or travelled >= DRAG_DISTANCE - _ROUNDING
        if self.dragging:
            self.drag(event)

    def release(self, event: PointerEvent) -> bool:
        """Ends the gesture; returns whether it was a drag (else it was a click)."""
        if self.dragging:
            self.stage.end_preview()
            self.stage.preview_box(None)
            self.commit(event)
        return self.dragging

    def cancel(self) -> None:
        """Esc: everything is as before the press."""
        self.stage.end_preview()
        self.stage.preview_box(None)

    def holds(self) -> bool:
        """Whether what was pressed is still there; whoever owns the tool cancels the gesture when it is not."""
        return True

    def drag(self, event: PointerEvent) -> None:
        """Shows what the release would do."""
        raise NotImplementedError

    def commit(self, event: PointerEvent) -> None:
        """Asks the editor for the change."""
        raise NotImplementedError


class Tool:
    """What the pointer does on the canvas until another tool is chosen."""

    hint = ""
    """One line for the status bar; {action} stands for the action's key (app.canvas.key_names)."""

    def __init__(self, stage: Stage, editor: Editor) -> None:
        self.stage, self.editor = stage, editor
        self.gesture: Gesture | None = None

    def press(self, event: PointerEvent) -> None:
        raise NotImplementedError

    def context_press(self, event: PointerEvent) -> None:
        """The right button went down."""

    def move(self, event: PointerEvent) -> None:
        if self.gesture:
            self.gesture.move(event)

    def release(self, event: PointerEvent) -> None:
        if self.gesture:
            gesture, self.gesture = self.gesture, None
            if not gesture.release(event):
                self.clicked(event)

    def clicked(self, event: PointerEvent) -> None:
        """A press and release in one place."""

    def cancel(self) -> bool:
        """Cancels the gesture; returns whether there was one."""
        if self.gesture is None:
            return False
        gesture, self.gesture = self.gesture, None
        gesture.cancel()
        return True

    def cursor(self, event: PointerEvent, hit: Hit) -> Qt.CursorShape:
        """Returns the cursor over what lies under the pointer."""
        return Qt.CursorShape.ArrowCursor
