"""Writes a project's labels as a YOLO-pose data set: `python -P -m app.storage.yolo_export PROJECT FOLDER`.

The layout is Ultralytics': `images/{train,val}/...`, `labels/{train,val}/....txt` with one person a line (class, box
centre and size, then x, y, v of every joint; all but class and v in shares of the image), and `dataset.yaml`.

There is no `path` in it: readers then take the folder that it lies in, from wherever they are started and also after
it was moved; `path: .` would be the folder that they are started in. Photos whose format, or orientation, not every
reader knows are written as PNG (`yolo_photos`).

YOLO knows neither crowd regions nor places outside of the image: crowds are left out, boxes are cut at the border,
joints outside become "not labelled"; the result counts them. Progress and result are JSON lines on stdout, errors
{"error": s} with exit status 1.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.document.records import Person
from app.storage.child_lines import print_line, run_child_work
from app.storage.export_arguments import export_parser
from app.storage.new_folder import FreeNames, new_folder
from app.storage.project_skeleton import read_skeleton
from app.storage.snapshot import LabelledImage, Only, count_images, labelled_images, snapshot
from app.storage.yolo_photos import Photos, plan_photo, write_photo
from msarcnn.images import ImageError
from msarcnn.skeleton import Skeleton

_STEP = 200
_PATTERN = re.compile(r"[][*?]")
"""What Ultralytics takes for a pattern in the name of a folder, so that it finds nothing there."""


class YoloResult(msgspec.Struct):
    """What was written.

    Attributes:
        path: The folder.
        images: Images with their label files; of them, val are held out.
        people: Lines in the label files.
        crowds: Crowd regions left out.
        outside: Joints outside of their image, left out.
        converted: Photos written as PNG.
        skipped: Sentences about images that were left out.
        notes: Sentences about what to look after.
    """

    path: str
    images: int = 0
    val: int = 0
    people: int = 0
    crowds: int = 0
    outside: int = 0
    converted: int = 0
    skipped: list[str] = []
    notes: list[str] = []


class _Writer:
    def __init__(self, folder: Path, roots: Sequence[str], val_fraction: float, seed: int, photos: Photos) -> None:
        self.result = YoloResult(str(folder))
        self._folder = folder
        self._val_fraction, self._seed, self._photos = val_fraction, seed, photos
        # Two photos that differ in their suffix alone would share a label file.
        self._names = FreeNames(roots)

    def add(self, image: LabelledImage) -> None:
        split = "val" if self._is_held_out(image) else "train"
        stated = (image.width, image.height) if image.width and image.height else None
        try:
            photo = plan_photo(image.root, image.path, stated)
            name = self._names.claim(image.root, photo.name.as_posix())
            write_photo(photo, self._folder / "images" / split / name, self._photos)
        except ImageError as error:
            self.result.skipped.append(str(error))
            return
        label = self._folder / "labels" / split / name.with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        lines = [line for person in image.people if (line := self._line(person, *photo.size))]
        label.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self.result.images += 1
        self.result.val += split == "val"
        self.result.people += len(lines)
        self.result.converted += photo.converted

    def _is_held_out(self, image: LabelledImage) -> bool:
        # By name, so that an image stays on its side when others come or go.
        digest = hashlib.sha256(f"{self._seed} {image.path}".encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") < self._val_fraction * 2**64

    def _line(self, person: Person, width: int, height: int) -> str:
        if person.is_crowd:
            self.result.crowds += 1
            return ""
        box = person.box
        left, right = max(box.x, 0.0) / width, min(box.right, width) / width
        top, bottom = max(box.y, 0.0) / height, min(box.bottom, height) / height
        if right <= left or bottom <= top:
            self.result.outside += person.labelled_joints
            return ""
        numbers = [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]
        words = ["0", *(f"{number:.6f}" for number in numbers)]
        for joint in person.joints:
            x, y = joint.x / width, joint.y / height
            inside = 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0
            self.result.outside += joint.v > 0 and not inside
            words += [f"{x:.6f}", f"{y:.6f}", str(joint.v)] if joint.v and inside else ["0", "0", "0"]
        return " ".join(words)


def export_yolo(
    project: Path,
    folder: Path,
    *,
    only: Only = "labelled",
    listed: Sequence[int] = (),
    val_fraction: float = 0.1,
    seed: int = 0,
    photos: Photos = "link",
) -> YoloResult:
    """Writes a data set into a new or empty folder; after an error nothing is left of it.

    Args:
        project: The project file; it may be open for writing elsewhere.
        folder: Where to.
        only: Which images. One without people is a background image: right for "finished", wrong where nobody has
            looked yet.
        listed: Keys of the images, for "listed".
        val_fraction: Share of the images in `val`, chosen by name and seed.
        seed: Another number holds out other images.
        photos: Link to them where that is safe, or copy them.

    Raises:
        ProjectError: the project cannot be read.
        FolderTakenError: there is something in the folder.
        OSError, sqlite3.Error: something cannot be written.
    """
    with new_folder(folder) as unfinished, snapshot(project, folder.absolute(), listed) as connection:
        total = count_images(connection, only)
        roots = [root for (root,) in connection.execute("SELECT path FROM root ORDER BY id")]
        writer = _Writer(unfinished, roots, val_fraction, seed, photos)
        for index, image in enumerate(labelled_images(connection, only), 1):
            writer.add(image)
            if index % _STEP == 0:
                print_line("progress", done=index, total=total)
        for split in ("train", "val"):
            (unfinished / "images" / split).mkdir(parents=True, exist_ok=True)
        text = _description(read_skeleton(connection), "images/val" if writer.result.val else "images/train")
        (unfinished / "dataset.yaml").write_text(text, encoding="utf-8")
    writer.result.path = str(folder)
    if _PATTERN.search(str(folder.absolute())):
        note = "Ultralytics finds no photos below a folder with [, ], * or ? in its name: rename it before training"
        writer.result.notes.append(note)
    return writer.result


def _description(skeleton: Skeleton, val: str) -> str:
    names = "\n".join(f"    - {name}" for name in skeleton.keypoints)
    return (
        "# Human poses, labelled with MSA R-CNN. The folders are beside this file; the whole may be moved.\n"
        "# Older versions of Ultralytics want this file's full path: data=/.../dataset.yaml\n"
        f"train: images/train\nval: {val}\n\n"
        f"kpt_shape: [{len(skeleton.keypoints)}, 3]\nflip_idx: {list(skeleton.flip_permutation)}\n\n"
        f"names:\n  0: person\n\nkpt_names:\n  0:\n{names}\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The child process; returns its exit status."""
    parser = export_parser("app.storage.yolo_export", "write a project as YOLO-pose", "labelled")
    parser.add_argument("--val-fraction", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--photos", choices=("link", "copy"), default="link")
    options = parser.parse_args(arguments)
    return run_child_work(
        options.out,
        lambda: msgspec.structs.asdict(
            export_yolo(
                options.project,
                options.out,
                only=options.only,
                listed=options.listed,
                val_fraction=options.val_fraction,
                seed=options.seed,
                photos=options.photos,
            )
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
