"""Does what a person does in the real program, with the pointer and the keys, and prints what it expects of the export.

`python real_window_session.py FOLDER OUT.json SCREENSHOT.png`; the display is the one that Qt finds.
"""

import math
import sys
from pathlib import Path
from typing import Any

from person_at_window import Person, run_program, wait_for
from PySide6.QtCore import QPoint, Qt

from app.document.records import HUMAN, ImageState, Joint
from app.main_window import MainWindow

_DRAG = QPoint(34, -22)
"""Screen pixels that the joint is dragged by."""


class Labeller(Person):
    """Accepts, draws, corrects."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self.people: dict[str, int] = {}

    def accept_and_go_on(self) -> int:
        """Space; returns how many people it made labels. The last image has no next one."""
        self.wait_for_prefill()
        before, shown = self.image, len(self.window.proposals.now().shown)
        following = self.window.navigation.neighbour(1)
        self.key(Qt.Key.Key_Space)
        expected = following or before
        wait_for("the next image", lambda: self.image == expected)
        accepted = len(self.document.people(before))
        # Of two predictions of the same person only the better one becomes a label.
        assert bool(accepted) == bool(shown) and accepted <= shown, (accepted, shown)
        self.people[self.document.image(before).path] = accepted
        return accepted

    def draw(self) -> int:
        """N and a drag around the middle of the photo; returns the new person's key when its joints are there."""
        width, height = self.window.scene.image_extent()
        steps, before = self.window.session.undo_stack.count(), set(self.document.people(self.image))
        self.key(Qt.Key.Key_N)
        self.drag(self.to_screen(width * 0.3, height * 0.25), self.to_screen(width * 0.62, height * 0.93))
        (drawn,) = set(self.document.people(self.image)) - before
        assert self.selection.person == drawn.key
        wait_for("the joints", lambda: all(joint.origin for joint in self.joints(drawn.key)))
        assert self.window.session.undo_stack.count() == steps + 1, "drawing with its joints is one step"
        return drawn.key

    def joints(self, person: int) -> tuple[Joint, ...]:
        return self.document.person(self.image, person).joints

    def easiest_joint(self, person: int) -> int:
        """The joint of a person that lies farthest from every other one: nobody else's is grabbed by mistake."""
        places = [(p.key, i, j) for p in self.document.people(self.image) for i, j in enumerate(p.joints)]

        def room(index: int) -> float:
            joint = self.joints(person)[index]
            start = self.to_screen(joint.x, joint.y)
            if not (self.can_point_at(start) and self.can_point_at(start + _DRAG)):
                return -1.0
            others = [j for key, i, j in places if (key, i) != (person, index)]
            return min(math.hypot(joint.x - other.x, joint.y - other.y) for other in others)

        return max(range(len(self.joints(person))), key=room)

    def drag_joint(self, person: int, index: int) -> Joint:
        """Drags a joint; returns where it is then."""
        before = self.joints(person)[index]
        start = self.to_screen(before.x, before.y)
        self.drag(start, start + _DRAG)
        moved = self.joints(person)[index]
        scale = self.canvas.screen_scale
        assert moved.origin == HUMAN and moved.v > 0, moved
        assert math.dist((moved.x - before.x, moved.y - before.y), (_DRAG.x() / scale, _DRAG.y() / scale)) < 0.01
        return moved


def label_everything(window: MainWindow, screenshot: Path) -> dict[str, Any]:
    """Accepts on every image; on the last one draws, drags, takes back, drags again. Returns what must be exported."""
    person = Labeller(window)
    wait_for("the project", lambda: person.selection.current_image is not None)
    accepted = sum(person.accept_and_go_on() for _ in range(window.model.total))
    key = person.draw()
    before = person.joints(key)
    index = person.easiest_joint(key)
    person.drag_joint(key, index)
    person.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert person.joints(key) == before, "undo puts the joint back exactly"
    moved = person.drag_joint(key, index)
    person.key(Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    record = person.document.image(person.image)
    assert record.state is ImageState.DONE
    picture = window.screen().grabWindow(window.winId())
    assert picture.save(str(screenshot))
    return {
        "accepted": accepted,
        "people": person.people | {record.path: len(person.document.people(person.image))},
        "dragged_file": record.path,
        "dragged_box": [getattr(person.document.person(person.image, key).box, name) for name in "xywh"],
        "dragged_index": index,
        "dragged": [moved.x, moved.y, moved.v],
        "dragged_labelled": person.document.person(person.image, key).labelled_joints,
    }


def session(window: MainWindow, out: Path, screenshot: Path) -> dict[str, Any]:
    """Labels, exports and closes the window."""
    messages: list[tuple[str, str]] = []
    window.messages.posted.connect(lambda message: messages.append((message.level, message.text)))
    expected = label_everything(window, screenshot)
    ended: list[bool] = []
    window.exporting.ended.connect(lambda: ended.append(True))
    window.exporting.export(out)
    wait_for("the export", lambda: bool(ended))
    assert window.close()
    assert not window.session.is_open
    return expected | {"trouble": [text for level, text in messages if level in ("warning", "error")]}


def main(arguments: list[str]) -> int:
    folder, out, screenshot = arguments
    return run_program([folder], lambda window: session(window, Path(out), Path(screenshot)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
