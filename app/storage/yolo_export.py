"""Writes a project's labels as a YOLO-pose data set: `python -P -m app.storage.yolo_export PROJECT FOLDER`.

The layout is Ultralytics': `images/{train,val}/...`, `labels/{train,val}/....txt` with one person a line (class, box
centre and size, then x, y, v of every joint; all but class and v in shares of the image), and `dataset.yaml`.

YOLO knows neither crowd regions nor places outside of the image: crowds are left out, boxes are cut at the border,
joints outside become "not labelled"; the result counts them. Nor does it know labels of a picture as it is stored,
before EXIF turns it: such images are left out, and the result names them. Progress and result are JSON lines on
stdout, errors {"error": s} with exit status 1.
"""

import hashlib
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from app.document.records import Person
from app.storage.child_lines import print_line, run_child_work
from app.storage.export_arguments import export_parser
from app.storage.new_folder import FreeNames, new_folder
from app.storage.snapshot import LabelledImage, Only, count_images, labelled_images, snapshot
from msarcnn.images import ImageError, image_size
from msarcnn.skeleton import Skeleton, load_skeleton

Photos = Literal["link", "copy"]
_STEP = 200


class YoloResult(msgspec.Struct):
    """What was written.

    Attributes:
        path: The folder.
        images: Images with their label files; of them, val are held out.
        people: Lines in the label files.
        crowds: Crowd regions left out.
        outside: Joints outside of their image, left out.
        skipped: Sentences about images that were left out.
    """

    path: str
    images: int = 0
    val: int = 0
    people: int = 0
    crowds: int = 0
    outside: int = 0
    skipped: list[str] = []


class _Writer:
    def __init__(self, folder: Path, roots: Sequence[str], val_fraction: float, seed: int, photos: Photos) -> None:
        self.result = YoloResult(str(folder))
        self._folder = folder
        self._val_fraction, self._seed, self._photos = val_fraction, seed, photos
        # Two photos that differ in their suffix alone would share a label file.
        self._names = FreeNames(roots)

    def add(self, image: LabelledImage) -> None:
        try:
            size = _size_of_labels(image)
        except ImageError as error:
            self.result.skipped.append(str(error))
            return
        split = "val" if self._is_held_out(image) else "train"
        name = self._names.claim(image.root, _without_images(image.path))
        label = self._folder / "labels" / split / name.with_suffix(".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        lines = [line for person in image.people if (line := self._line(person, *size))]
        label.write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
        self._place(image.root / image.path, self._folder / "images" / split / name)
        self.result.images += 1
        self.result.val += split == "val"
        self.result.people += len(lines)

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

    def _place(self, photo: Path, name: Path) -> None:
        name.parent.mkdir(parents=True, exist_ok=True)
        photo = photo.resolve()  # a second name of a link would lead to another place than the link
        # A second name of the same file first: a symbolic link would end with the folder that it leads to.
        ways = (name.hardlink_to, name.symlink_to) if self._photos == "link" else ()
        for way in ways:
            with suppress(OSError):  # another disk, or a system without links
                way(photo)
                return
        shutil.copyfile(photo, name)


def _size_of_labels(image: LabelledImage) -> tuple[int, int]:
    """Width and height in pixels that the labels are measured in.

    Raises ImageError for a file that cannot be read, lies outside of its image folder, or is turned by readers of
    YOLO while its labels are not.
    """
    photo = image.root / image.path
    width, height = image_size(photo, image.root)
    labelled = (image.width, image.height) if image.width and image.height else (width, height)
    if labelled == (height, width) and width != height:
        reason = f"its labels are for {height} x {width} pixels, but readers of YOLO turn it to {width} x {height}"
        raise ImageError(photo, reason, "remove the orientation from its EXIF data")
    return labelled


def _without_images(path: str) -> str:
    """Renames folders called "images": readers look for labels where the last of them is "labels" instead."""
    *folders, name = PurePosixPath(path).parts
    return PurePosixPath(*(f"{part}_" if part == "images" else part for part in folders), name).as_posix()


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
        photos: Link to them, or copy them.

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
        text = _description(load_skeleton(), "images/val" if writer.result.val else "images/train")
        (unfinished / "dataset.yaml").write_text(text, encoding="utf-8")
    writer.result.path = str(folder)
    return writer.result


def _description(skeleton: Skeleton, val: str) -> str:
    names = "\n".join(f"    - {name}" for name in skeleton.keypoints)
    return (
        f"# Human poses, labelled with MSA R-CNN\npath: .\ntrain: images/train\nval: {val}\n\n"
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
