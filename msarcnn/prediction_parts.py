"""A prediction in parts: what is asked of each, and the finished ones, kept beside the output until all are there."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from msarcnn.atomic_files import remove_stale_temporaries, write_json_atomic
from msarcnn.dataset import LabelledImage
from msarcnn.prefill import FoundPeople, unlabelled

MOST_IMAGES = 256
"""Images of a part at most: what is lost at an interruption is a part a worker."""
LEAST_PARTS = 64
"""Parts of a job that is large enough: some for each worker, so that all of them end at about the same time."""


class PartsError(ValueError):
    """Parts that cannot be used; the message names the folder and the cure."""


@dataclass(frozen=True)
class Question:
    """What parts are an answer to; those of an equal question can be used. Written as `job.json`.

    Attributes:
        model: Hash of the model's file.
        threshold: Lowest score of a person kept.
        images: How many.
        names: SHA-256 of what is asked of the parts: every image's id, place and size that it was labelled in.
        part_size: Images of a part; the last one may have fewer.
    """

    model: str
    threshold: float
    images: int
    names: str
    part_size: int


@dataclass(frozen=True)
class Part:
    """An answer: people of the images that could be read, in order, and what is wrong with the others."""

    found: list[FoundPeople]
    problems: list[str]


@dataclass(frozen=True)
class _Sent:
    """An image on its way to a worker. Names are bytes, as the file system has them: they may be no UTF-8."""

    image_id: int
    root: bytes
    name: bytes
    labelled_size: tuple[int, int] | None


def encode_images(images: Sequence[LabelledImage]) -> bytes:
    """Where to find images, without their labels, as JSON."""
    sent = [
        _Sent(image.image_id, os.fsencode(image.root), os.fsencode(image.file_name), image.labelled_size)
        for image in images
    ]
    return msgspec.json.encode(sent)


def decode_images(data: bytes) -> list[LabelledImage]:
    """What `encode_images` was given, without labels."""
    return [
        unlabelled(one.image_id, Path(os.fsdecode(one.root)), os.fsdecode(one.name), one.labelled_size)
        for one in msgspec.json.decode(data, type=list[_Sent])
    ]


def part_size(images: int) -> int:
    """How many images go into a part."""
    return min(MOST_IMAGES, -(-images // LEAST_PARTS)) or 1


class PartsFolder:
    """The folder OUTPUT.parts with a file a finished part.

    Attributes:
        path: The folder.
        requests: What is asked of each part, see `decode_images`.
    """

    def __init__(self, output: Path, images: Sequence[LabelledImage], model_hash: str, threshold: float) -> None:
        """Touches nothing yet."""
        size = part_size(len(images))
        self.path = output.with_name(f"{output.name}.parts")
        self.requests = [encode_images(images[start : start + size]) for start in range(0, len(images), size)]
        names = hashlib.sha256(b"\n".join(self.requests)).hexdigest()
        self._question = Question(model_hash, float(threshold), len(images), names, size)

    def open(self) -> None:
        """Makes the folder, or takes the one that an interrupted prediction left.

        Raises:
            PartsError: what is there belongs to something else.
            OSError: the folder cannot be made or written.
        """
        job = self.path / "job.json"
        if self.path.exists() and any(self.path.iterdir()):
            try:
                there = msgspec.json.decode(job.read_bytes(), type=Question)
            except (OSError, msgspec.MsgspecError) as error:
                raise PartsError(f"{self.path} is there and has no parts of a prediction: {_CURE}") from error
            if there != self._question and any(self.path.glob("[0-9]*.json")):
                raise PartsError(f"{self.path} has parts of another prediction ({self._difference(there)}): {_CURE}")
            remove_stale_temporaries(self.path)
        self.path.mkdir(exist_ok=True)
        write_json_atomic(job, msgspec.json.encode(self._question))

    def images_of(self, part: int) -> int:
        """How many images a part has."""
        size = self._question.part_size
        return min(size, self._question.images - part * size)

    def count(self) -> int:
        """How many parts are there."""
        return sum(self._file(part).exists() for part in range(len(self.requests)))

    def unfinished(self) -> list[int]:
        """The parts that are not there, or cannot be used."""
        return [part for part in range(len(self.requests)) if self._read(part) is None]

    def keep(self, part: int, content: bytes) -> None:
        """Writes a finished part, a `Part` as JSON, atomically. Raises OSError."""
        write_json_atomic(self._file(part), content)

    def read(self, problems: list[str]) -> Iterator[FoundPeople]:
        """Whom all the parts have found, in the order of the images; problems are added to the list.

        Raises PartsError for a part that is not there.
        """
        for part in range(len(self.requests)):
            content = self._read(part)
            if content is None:
                raise PartsError(f"{self._file(part)} is not there any more, or damaged: run the same command again")
            problems.extend(content.problems)
            yield from content.found

    def remove(self) -> None:
        """Removes the parts, and the folder unless somebody has put something else into it."""
        for file in [*map(self._file, range(len(self.requests))), self.path / "job.json"]:
            file.unlink(missing_ok=True)
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def _file(self, part: int) -> Path:
        return self.path / f"{part:05d}.json"

    def _read(self, part: int) -> Part | None:
        try:
            content = msgspec.json.decode(self._file(part).read_bytes(), type=Part)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return content if len(content.found) + len(content.problems) == self.images_of(part) else None

    def _difference(self, there: Question) -> str:
        said = {
            "model": "another model",
            "threshold": f"threshold {there.threshold:g}",
            "images": f"{there.images} images",
            "names": "other images",
            "part_size": "parts of another size",
        }
        ours, theirs = asdict(self._question), asdict(there)
        return next(words for name, words in said.items() if ours[name] != theirs[name])


_CURE = "remove that folder, or choose another --output"
