"""What a gesture may ask for: the canvas knows how to point, not how labels change."""

from typing import Protocol

from app.document.records import Box


class Editor(Protocol):
    """The door from the canvas's gestures to the labels of the current image; every call is one undo step."""

    def add_person(self, box: Box) -> None: ...

    def set_box(self, person: int, box: Box) -> None: ...

    def move_person(self, person: int, dx: float, dy: float) -> None: ...

    def move_joint(self, person: int, joint: int, x: float, y: float) -> None: ...

    def place_joint(self, person: int, joint: int, x: float, y: float, v: int) -> None: ...

    def cycle_joint(self, person: int, joint: int) -> None: ...
