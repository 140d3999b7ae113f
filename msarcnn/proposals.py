"""Proposals of an RPN trained by itself, in a file: an R-CNN is trained and judged on them (paper section 7)."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from msarcnn.atomic_files import atomic_writer
from msarcnn.dataset import DataError, LabelledImage
from msarcnn.images import ImageError
from msarcnn.oks import box_overlaps
from msarcnn.predictor import Predictor

FORMAT = "msarcnn-proposals/1"
UNREAD = (0, 0)
"""Stands for the size of an image that could not be read; whoever uses the file leaves it out, too."""
RECALL_THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))
"""IoUs at which a person counts as covered, as in COCO's AR."""


@dataclass(frozen=True)
class Proposals:
    """Boxes by image.

    Attributes:
        path: The file.
        model: Hash of the model whose RPN made them.
        boxes: By file name, [N, 4] float32 xyxy in pixels of the upright image, the most probable first.
        sizes: (width, height) of those images.
    """

    path: Path
    model: str
    boxes: dict[str, np.ndarray]
    sizes: dict[str, tuple[int, int]]

    def given_to(self, images: Sequence[LabelledImage]) -> list[LabelledImage]:
        """The images with their proposals. Raises DataError when the file is one of other images."""
        missing = [image.file_name for image in images if image.file_name not in self.boxes]
        if missing:
            raise DataError(
                f"{self.path}: proposals of other images: it has none of {missing[0]}"
                f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}: make them of the images at hand "
                "(`python -m msarcnn proposals`)"
            )
        for image in images:
            made_for = self.sizes[image.file_name]
            if image.labelled_size and made_for != UNREAD and image.labelled_size != made_for:
                raise DataError(
                    f"{self.path}: {image.file_name} had {made_for} pixels (width, height) when its "
                    f"proposals were made, and is labelled for {image.labelled_size}: make them anew"
                )
        return [replace(image, proposals=self.boxes[image.file_name]) for image in images]


def propose(
    predictor: Predictor,
    images: Iterable[LabelledImage],
    count: int | None,
    failed: Callable[[ImageError], None],
    done: Callable[[], None] = lambda: None,
) -> Iterable[tuple[LabelledImage, tuple[int, int], np.ndarray]]:
    """Image by image: the image, its (width, height), its best proposals.

    One that cannot be read is reported, and has none, and the size UNREAD.
    """
    for image in images:
        try:
            pixels = image.load()
        except ImageError as error:
            failed(error)
            yield image, UNREAD, np.zeros((0, 4), np.float32)
            continue
        (features,) = predictor.encode([pixels])
        yield image, (pixels.shape[1], pixels.shape[0]), predictor.propose(features, count)
        done()


def write_proposals(
    path: Path, model: str, proposed: Iterable[tuple[LabelledImage, tuple[int, int], np.ndarray]]
) -> int:
    """Writes a file, atomically; returns for how many images. Raises OSError."""
    names, sizes, counts, boxes = [], [], [], [np.zeros((0, 4), np.float32)]
    for image, size, found in proposed:
        names.append(image.file_name)
        sizes.append(size)
        counts.append(len(found))
        boxes.append(found.astype(np.float32))
    tensors: dict[str, np.ndarray] = {"boxes": np.concatenate(boxes), "counts": np.array(counts, np.int64)}
    metadata = {"format": FORMAT, "model": model, "names": json.dumps(names), "sizes": json.dumps(sizes)}
    with atomic_writer(path) as file:
        file.write(save(tensors, metadata))
    return len(names)


def read_proposals(path: Path) -> Proposals:
    """Reads a file. Raises DataError, naming it and the cure."""
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise DataError(f"{path}: no file of proposals: make one with `python -m msarcnn proposals`")
            boxes, counts = file.get_tensor("boxes"), file.get_tensor("counts")
        names, sizes = json.loads(metadata["names"]), json.loads(metadata["sizes"])
        if not len(names) == len(sizes) == len(counts) or counts.sum() != len(boxes):
            raise ValueError("its parts do not fit together")
        parts = np.split(boxes, np.cumsum(counts)[:-1]) if len(counts) else []
        return Proposals(
            path,
            metadata.get("model", ""),
            dict(zip(names, parts, strict=True)),
            {name: (int(width), int(height)) for name, (width, height) in zip(names, sizes, strict=True)},
        )
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file: make it with `python -m msarcnn proposals`") from error
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: a damaged file of proposals ({error}): make it anew") from error


def proposals_command(
    model: Predictor,
    images: Sequence[LabelledImage],
    count: int | None,
    output: Path,
    report: Callable[[int], None],
) -> tuple[int, list[str]]:
    """Writes the proposals of images; returns how many could be read, and which could not."""
    problems: list[str] = []
    finished = 0

    def done() -> None:
        nonlocal finished
        finished += 1
        report(finished + len(problems))

    proposed = propose(model, images, count, lambda error: problems.append(str(error)), done)
    return write_proposals(output, model.hash, proposed) - len(problems), problems


def recall(people: Sequence[Sequence[Sequence[float]]], proposals: Sequence[np.ndarray], count: int) -> float:
    """AR@count: the share of people whom one of the first proposals covers, a mean over IoUs from 0.5 to 0.95.

    Args:
        people: Boxes x, y, w, h by image.
        proposals: [N, 4] xyxy by image.
        count: How many of an image's are looked at.

    Returns:
        0..1; -1 where there is nobody.
    """
    best = [
        max(box_overlaps(boxes[:count], person), default=0.0)
        for image, boxes in zip(people, proposals, strict=True)
        for person in image
    ]
    if not best:
        return -1.0
    return float(np.mean([[overlap >= threshold for threshold in RECALL_THRESHOLDS] for overlap in best]))
