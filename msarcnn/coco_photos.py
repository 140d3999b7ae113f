"""What a COCO file says about its photos, compared with the photos: which file, which size, which way up.

Labels are measured in the photo's own pixels from here on: those made for a larger or smaller copy are scaled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from msarcnn.coco_records import CocoImage, ReadLog
from msarcnn.coco_validation import BORDER_TOLERANCE, RawAnnotation, UnusableError
from msarcnn.file_names import FoundFile, find_file
from msarcnn.images import ImageError, PhotoHeader, read_header

SAME_SHAPE = 0.01
"""Copies of a photo in other sizes have the same ratio of sides but for rounding, relative."""
_TOO_LARGE_FOR_A_COPY = 0.25
"""From this share of the people on, and two of three or more, whose middles are beyond the stated size, but in the
photo, that size is no copy's."""
_AS_STORED = "labels measured on the photo as it is stored, before EXIF turns it: shown so"
_UPRIGHT = "width and height are exchanged: the labels fit the upright photo"


class _Reach(NamedTuple):
    """A person's farthest corner, and its middle."""

    right: float
    bottom: float
    x: float
    y: float


class Extent:
    """Where an image's people are, in the file's pixels, told so that no single record or joint decides.

    A person reaches as far as its box, or, without one, as its labelled joints; its middle is that of these joints
    (their median), or, without any, of its box.
    """

    def __init__(self, people: Iterable[RawAnnotation] = ()) -> None:
        self._records = people

    @cached_property
    def _people(self) -> list[_Reach]:
        # Only found out where it is asked: mostly the file's size is the photo's.
        return [reach for fields in self._records if (reach := self._reach(fields))]

    @staticmethod
    def _reach(fields: RawAnnotation) -> _Reach | None:
        """None for a person of whom nothing is labelled, or only the corner at the top left."""
        box, values = fields.bbox or [], fields.keypoints or []
        triples = zip(values[0::3], values[1::3], values[2::3], strict=False)
        joints = [(x, y) for x, y, v in triples if x is not None and y is not None and v]
        if len(box) == 4 and box[2] and box[3]:
            x, y, w, h = box
            corners = [(max(x, x + w), max(y, y + h))]
            middle = (x + w / 2, y + h / 2)
        elif joints:
            corners = joints
        else:
            return None
        if joints:
            middle = (median(x for x, _ in joints), median(y for _, y in joints))
        reach = _Reach(max(x for x, _ in corners), max(y for _, y in corners), *middle)
        return reach if reach.right > 0 or reach.bottom > 0 else None

    def __len__(self) -> int:
        return len(self._people)

    def fitting(self, width: float, height: float) -> int:
        """How many of the people lie within a picture of this size."""
        room = BORDER_TOLERANCE * max(width, height)
        return sum(one.right <= width + room and one.bottom <= height + room for one in self._people)

    def centred(self, width: float, height: float) -> int:
        """How many of the people have their middle within a picture of this size; they may reach over its border."""
        return sum(one.x <= width and one.y <= height for one in self._people)


@dataclass(frozen=True)
class Frame:
    """A photo's true entry, and what its labels are multiplied by in x and in y to be in its pixels.

    problem: why its labels cannot be used; "" when they can. upright: the entry of the photo as EXIF turns it, where
    the labels of a photo that is stored sideways fit it both ways; `Photos.settled` decides.
    """

    image: CocoImage
    scale: tuple[float, float] = (1.0, 1.0)
    problem: str = ""
    upright: CocoImage | None = None

    def scaled(self, fields: RawAnnotation) -> RawAnnotation:
        if self.scale == (1.0, 1.0):
            return fields
        sx, sy = self.scale
        box = fields.bbox
        if box is not None and len(box) == 4:
            box = [box[0] * sx, box[1] * sy, box[2] * sx, box[3] * sy]
        joints = fields.keypoints
        if joints is not None:
            factors = (sx, sy, 1.0)
            joints = [value if value is None else value * factors[at % 3] for at, value in enumerate(joints)]
        area = None if fields.area is None else fields.area * sx * sy
        return msgspec.structs.replace(fields, bbox=box, keypoints=joints, area=area)


class Photos:
    """The image folders of a file; finds and measures its photos.

    Args:
        roots: The folders; an image's `image_root` picks one. An image whose number is too high stays as it is.
        log: Told what was decided.
    """

    def __init__(self, roots: Sequence[Path], log: ReadLog) -> None:
        self._roots = [root.resolve() for root in roots]
        self._log = log
        self._found: dict[int, FoundFile] = {}
        """By the places of image entries."""
        self._owners: dict[tuple[int, str], int] = {}
        """The entry that each file belongs to."""
        self._stated: dict[int, str] = {}
        """The names as the file has them, by the places of image entries."""
        self._stored = self._turned_up = 0
        """Of photos stored sideways: how many have labels that fit them only as stored, and only upright."""

    def find(self, entries: Iterable[tuple[CocoImage, str]]) -> None:
        """Looks for the photos of all entries, each with its file name as the file has it; call it before `frame`.

        Where several come to the same photo, it belongs to one that says more than the end of its name.
        """
        for image, stated in entries:
            self._stated[image.index] = stated
            if 0 <= image.image_root < len(self._roots):
                found = find_file(self._roots[image.image_root], stated)
                if found is not None:
                    self._found[image.index] = found
                    place = (image.image_root, found.name)
                    owner = self._owners.setdefault(place, image.index)
                    if self._found[owner].by_end and not found.by_end:
                        self._owners[place] = image.index

    def frame(self, image: CocoImage, extent: Extent) -> Frame:
        """Compares one entry with its photo; a photo that is not there, or damaged, leaves the entry as it is.

        Args:
            image: The entry, checked by itself.
            extent: How far its labels reach.

        Raises:
            UnusableError: another entry means the same photo, as far as the end of this one's name tells.
        """
        if not 0 <= image.image_root < len(self._roots):
            return Frame(image)
        root, place = self._roots[image.image_root], f"images[{image.index}]"
        found = self._found.get(image.index)
        if found is None:
            self._log.note("photos that are not in the image folder", place, warns=True)
            return Frame(image)
        image = self._named(image, found.name, found.by_end, place)
        try:
            size = read_header(root / found.name, root)
        except ImageError:
            return Frame(image)  # said where the photo is read
        return self._measured(image, size, extent, place)

    def _named(self, image: CocoImage, name: str, by_end: bool, place: str) -> CocoImage:
        owner = self._owners[image.image_root, name]
        if by_end and self._stated[owner] != self._stated[image.index]:
            raise UnusableError(f"by the end of its name it is {name}, as images[{owner}] is")
        if by_end:
            self._log.note(
                "photos found by the ends of their names: check that they are the right ones", place, warns=True
            )
        elif name != image.file_name:
            self._log.note("file names of another spelling than the photos'", place)
        return image if name == image.file_name else msgspec.structs.replace(image, file_name=name)

    def _measured(self, image: CocoImage, size: PhotoHeader, extent: Extent, place: str) -> Frame:
        true, stated = (size.width, size.height), (image.width, image.height)
        upright = Frame(msgspec.structs.replace(image, width=size.width, height=size.height))
        if stated in (true, (0, 0)):
            return upright
        if stated == true[::-1]:
            return self._turned(image, upright, size, extent, place)
        if abs(stated[0] * true[1] / (stated[1] * true[0]) - 1) <= SAME_SHAPE:
            beyond = extent.centred(*true) - extent.centred(*stated)
            if beyond > 0 and beyond >= max(min(2, (len(extent) + 1) // 2), _TOO_LARGE_FOR_A_COPY * len(extent)):
                # Taken, they would be scaled when they are written: an export goes by the stated size.
                sizes = f"beyond {stated[0]} x {stated[1]} pixels, the photo has {true[0]} x {true[1]}"
                return replace(upright, problem=f"its labels reach {sizes}: correct the size in the file")
            self._log.note("labels made for a larger or smaller copy of the photo: scaled to it", place, warns=True)
            sx, sy = true[0] / stated[0], true[1] / stated[1]
            regions = tuple((x * sx, y * sy, w * sx, h * sy) for x, y, w, h in image.ignore_regions)
            image = msgspec.structs.replace(upright.image, ignore_regions=regions, scale=(sx, sy))
            return Frame(image, (sx, sy))
        if not len(extent):
            self._log.note("another size than the photo's: the photo's is used", place)
            return upright
        sizes = f"{stated[0]} x {stated[1]} pixels, the photo has {true[0]} x {true[1]}"
        return replace(upright, problem=f"its labels are for {sizes}: is {image.file_name} the right photo?")

    def _turned(self, image: CocoImage, upright: Frame, size: PhotoHeader, extent: Extent, place: str) -> Frame:
        """Width and height are the other way round: as the picture is stored, or by mistake. The labels tell."""
        in_photo, in_stated = extent.fitting(size.width, size.height), extent.fitting(image.width, image.height)
        most = max(in_photo, in_stated)
        some = 2 * most > len(extent) or not len(extent)
        fits_photo, fits_stated = some and in_photo == most, some and in_stated == most
        if size.is_sideways and fits_stated:
            if fits_photo:
                return Frame(image, upright=upright.image)
            self._stored += 1
            self._log.note(_AS_STORED, place)
            return Frame(image)
        if fits_photo:
            self._turned_up += size.is_sideways
            self._log.note(_UPRIGHT, place)
            return upright
        sides = f"{image.width} x {image.height}"
        return replace(upright, problem=f"its labels fit neither {sides} nor {image.file_name}: is it the right photo?")

    def settled(self, frame: Frame, labelled: bool) -> Frame:
        """Decides a frame of labels that fit both ways, as the file's other photos do; call it after all of `frame`.

        A photo without labels is upright where the others say nothing.
        """
        if frame.upright is None:
            return frame
        if not labelled and not self._stored:
            return Frame(frame.upright)
        place = f"images[{frame.image.index}]"
        if labelled and bool(self._stored) == bool(self._turned_up):
            self._log.note(f"{_AS_STORED}, though they fit it upright, too: look at one of them", place, warns=True)
            return Frame(frame.image)
        self._log.note(_UPRIGHT if self._turned_up else _AS_STORED, place)
        return Frame(frame.upright if self._turned_up else frame.image)
