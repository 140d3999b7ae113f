"""A child process that edits as fast as it can and says what was committed: `python edit_storm.py PROJECT SEED`.

After each commit it prints the number of the operation; the test kills it at a moment of its choosing.
"""

import random
import sys
from dataclasses import replace
from pathlib import Path

from app.document.records import HUMAN, Box, Change, Edit, ImageState, Joint, Person
from app.storage.project import Project


def main(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    project = Project.open(path)
    next_key = project.next_person_key
    while True:
        record, people, _ = project.load_image(chance.choice([1, 2, 3]))
        if not people or chance.random() < 0.3:
            person = Person(next_key, Box(chance.random(), 0, 10, 10), (Joint(),) * 17)
            next_key += 1
            change = Change(None, person)
        elif chance.random() < 0.3:
            change = Change(chance.choice(people), None)
        else:
            old = chance.choice(people)
            moved = old.with_joint(chance.randrange(17), Joint(chance.random(), chance.random(), 2, HUMAN))
            change = Change(old, replace(moved, is_crowd=chance.random() < 0.1))
        state = chance.choice([ImageState.IN_PROGRESS, ImageState.DONE])
        project.apply(Edit(record.key, "storm", (change,), state=Change(record.state, state)))
        print(project.operation_count(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
