"""From COCO files to training samples: who is taught, who is ignored, and in which order."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from msarcnn.augmentation import augment, mosaic
from msarcnn.coco import CocoDataset, CocoImage, CocoPerson, Reading, read_coco
from msarcnn.coco_records import ANY_SIDE
from msarcnn.config import ModelConfig, TrainConfig
from msarcnn.images import ImageError, Photo
from msarcnn.ranks import ALONE, Ranks
from msarcnn.reading_notes import ReadingNote, reading_notes
from msarcnn.skeleton import Skeleton
from msarcnn.targets import Target


@dataclass(frozen=True)
class LabelledImage:
    """An image and its people, in pixels of the upright image; root is absolute.

    boxes [N, 4] xyxy; keypoints [N, K, 3] (x, y, v); keypoint_weights [N, K], 0 where a joint must not be
    taught; box_weights [N]: how much a box's place is taught; visibility_known [N, K] bool: whether v is what
    somebody saw; ignore_boxes [M, 4] xyxy: crowds, and regions in which nothing is known about people. float32.
    labelled_size is the (width, height) that the labels were made for, None when unknown: it decides when a
    camera's orientation mark and the labels disagree. lost_people: some of its people could not be read.
    proposals [P, 4] xyxy: what the heads look at instead of the RPN's (msarcnn.proposals).
    """

    image_id: int
    root: Path
    file_name: str
    boxes: np.ndarray
    keypoints: np.ndarray
    keypoint_weights: np.ndarray
    box_weights: np.ndarray
    visibility_known: np.ndarray
    ignore_boxes: np.ndarray
    labelled_size: tuple[int, int] | None = None
    lost_people: bool = False
    proposals: np.ndarray | None = None

    @property
    def has_keypoints(self) -> bool:
        """Whether a joint of anybody is taught."""
        return bool((self.keypoint_weights > 0).any())

    @property
    def path(self) -> Path:
        return self.root / self.file_name

    @property
    def photo(self) -> Photo:
        """What is to be read."""
        return Photo(self.path, self.root, self.labelled_size)

    def load(self) -> np.ndarray:
        """The pixels, [H, W, 3] uint8 RGB. Raises ImageError."""
        return self.photo.read().pixels

    def target(self) -> Target:
        given = {} if self.proposals is None else {"proposals": torch.from_numpy(self.proposals)}
        return given | {
            "boxes": torch.from_numpy(self.boxes),
            "labels": torch.ones(len(self.boxes), dtype=torch.int64),
            "keypoints": torch.from_numpy(self.keypoints),
            "keypoint_weights": torch.from_numpy(self.keypoint_weights),
            "box_weights": torch.from_numpy(self.box_weights),
            "visibility": torch.from_numpy(
                np.where(self.visibility_known, self.keypoints[..., 2], -1).astype(np.int64)
            ),
            "ignore_boxes": torch.from_numpy(self.ignore_boxes),
        }


@dataclass(frozen=True)
class Sample:
    """What the training loop gets: image [3, h, w] float in 0..1 and its target, or a problem to report."""

    image: Tensor
    target: Target
    problem: str = ""

    def pin_memory(self) -> "Sample":
        """In memory that a GPU reads by itself; for the loader."""
        pinned = {key: value.pin_memory() for key, value in self.target.items()}
        return Sample(self.image.pin_memory(), pinned, self.problem)


def empty_sample(joints: int, on_proposals: bool) -> Sample:
    """Teaches nothing: the place of images that could not be read, for a rank that has no other.

    on_proposals: Whether the run's images have proposals from a file.
    """
    boxes = torch.zeros(0, 4)
    target = {
        "boxes": boxes,
        "labels": torch.zeros(0, dtype=torch.int64),
        "keypoints": torch.zeros(0, joints, 3),
        "keypoint_weights": torch.zeros(0, joints),
        "box_weights": torch.zeros(0),
        "visibility": torch.zeros(0, joints, dtype=torch.int64),
        "ignore_boxes": torch.tensor([[-1e6, -1e6, 1e6, 1e6]]),
        "seed": torch.tensor(0),
        **({"proposals": boxes} if on_proposals else {}),
    }
    return Sample(torch.zeros(3, 32, 32), target)


PERSON_CATEGORY = 1
"""The category of people in what pycocotools is given."""
NINE_IN_MOSAICS = 0.25
"""Share of the mosaics with nine images; the others have four."""


class DataError(ValueError):
    """Data that cannot be trained on or evaluated; the message names the file and the cure."""


def labelled_images(data: CocoDataset, roots: Sequence[Path], pseudo_weight: float = 1.0) -> list[LabelledImage]:
    """Turns a validated COCO file into labelled images.

    A crowd is never a person: its box is ignored. A person without keypoints is taught as a box only. An image some
    of whose people could not be read is ignored but for the others: anybody may stand anywhere.

    Args:
        data: The file.
        roots: Image folders; an image's `image_root` picks one.
        pseudo_weight: Factor on the weight of joints whose source letter is "p".

    Raises:
        DataError: an image names a root that was not given.
    """
    people, lost = data.people_by_image(), data.images_that_lost_people
    places = [root.resolve() for root in roots]
    return [
        _labelled_image(data, image, people[image.id], places, pseudo_weight, image.id in lost) for image in data.images
    ]


def _labelled_image(
    data: CocoDataset,
    image: CocoImage,
    people: list[CocoPerson],
    roots: Sequence[Path],
    pseudo_weight: float,
    lost: bool,
) -> LabelledImage:
    if not 0 <= image.image_root < len(roots):
        raise DataError(
            f"{data.path}: images[{image.index}].image_root is {image.image_root}, but {len(roots)} image folder(s) "
            f"were given; repeat --images for every one"
        )
    singles = [person for person in people if not person.iscrowd]
    ignored = [person.bbox for person in people if person.iscrowd] + _unknown_regions(image, lost)
    count = len(data.skeleton.keypoints)
    return LabelledImage(
        image.id,
        roots[image.image_root],
        image.file_name,
        _corners([person.bbox for person in singles]),
        np.array([p.keypoints for p in singles], dtype=np.float32).reshape(-1, count, 3),
        np.array([_weights(p, pseudo_weight) for p in singles], dtype=np.float32).reshape(-1, count),
        np.array([p.bbox_weight for p in singles], dtype=np.float32),
        np.array([[_states_visibility(p)] * count for p in singles], dtype=bool).reshape(-1, count),
        _corners(ignored),
        (image.width, image.height) if image.width and image.height else None,
        lost,
    )


def _unknown_regions(image: CocoImage, lost: bool) -> list[tuple[float, float, float, float]]:
    """Boxes x, y, w, h in which nothing is known about people; all of an image that lost some."""
    whole = (0.0, 0.0, float(image.width or ANY_SIDE), float(image.height or ANY_SIDE))
    return [*image.ignore_regions, *([whole] if lost else [])]


def _corners(boxes: Sequence[Sequence[float]]) -> np.ndarray:
    array = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    array[:, 2:] += array[:, :2]
    return array


def _weights(person: CocoPerson, pseudo_weight: float) -> np.ndarray:
    weights = np.array(person.keypoint_weights or np.ones(len(person.keypoints)), dtype=np.float32)
    if person.keypoint_sources:
        weights[[letter == "p" for letter in person.keypoint_sources]] *= pseudo_weight
    return weights * (person.keypoints[:, 2] > 0)


def _states_visibility(person: CocoPerson) -> bool:
    """Whether v = 0, 1, 2 of a person's joints is what somebody saw, the joints left out included.

    It is not where a model placed joints, where they are weighed (such labels say how sure a place is, no more), and
    where nobody has labelled any.
    """
    return bool(person.num_keypoints) and not person.keypoint_weights and "p" not in (person.keypoint_sources or "")


def chosen_for_training(images: list[LabelledImage], config: TrainConfig) -> list[LabelledImage]:
    """Keeps the images that the settings want: all, or those with a labelled keypoint.

    One that lost all of its people has nothing to teach, not even background.
    """
    if config.select == "all":
        return [image for image in images if len(image.boxes) or not image.lost_people]
    return [image for image in images if image.has_keypoints]


def with_folders(annotations: Sequence[Path], roots: Sequence[Path]) -> list[tuple[Path, list[Path]]]:
    """Each COCO file with its image folders: one with all of them, or several with one each.

    Raises:
        DataError: the numbers of files and folders do not fit.
    """
    if len(annotations) == 1:
        return [(annotations[0], list(roots))]
    if len(annotations) != len(roots):
        raise DataError(f"{len(annotations)} annotation files need {len(annotations)} --images, not {len(roots)}")
    return [(path, [root]) for path, root in zip(annotations, roots, strict=True)]


def read_labelled_images(
    annotations: Sequence[Path],
    roots: Sequence[Path],
    pseudo_weight: float = 1.0,
    reading: Reading | None = None,
) -> tuple[list[LabelledImage], list[ReadingNote]]:
    """Reads one COCO file with its image folders, or several files with one folder each.

    Returns:
        The labelled images, and what was repaired, left out or odd in the files (to be shown).

    Raises:
        CocoError: a file cannot be read as COCO.
        DataError: the numbers of files and folders do not fit.
    """
    images: list[LabelledImage] = []
    notes: list[ReadingNote] = []
    for path, folders in with_folders(annotations, roots):
        data = read_coco(path, keep_raw=False, roots=folders, reading=reading)
        images += labelled_images(data, folders, pseudo_weight)
        notes += reading_notes(data)
    return images, notes


def ground_truth(data: CocoDataset, image_ids: Collection[int] | None = None) -> dict[str, Any]:
    """The clean people of a COCO file (or of some of its images) for pycocotools; the person category is 1.

    An ignored region is a crowd: what is found there is neither right nor wrong, as the losses neither teach nor
    punish it. A box is excused at a threshold when that share of it is covered; a pose when its joints lie within
    the region with its width and height added on every side (pycocotools' bounds for crowds). An image that lost
    people is such a region as a whole.
    """
    images = [image for image in data.images if image_ids is None or image.id in image_ids]
    lost = data.images_that_lost_people
    wanted = {image.id for image in images}
    people = [person for person in data.people if person.image_id in wanted]
    annotations = [
        {
            "id": person.index + 1,
            "image_id": person.image_id,
            "category_id": PERSON_CATEGORY,
            "bbox": list(person.bbox),
            "area": person.area,
            "iscrowd": int(person.iscrowd),
            "num_keypoints": person.num_keypoints,
            "keypoints": person.keypoints.ravel().tolist(),
        }
        for person in people
    ]
    # pycocotools keeps one of two annotations with the same id, and takes 0 for no match.
    first_free = max((person.index + 1 for person in people), default=0) + 1
    regions = [(image.id, region) for image in images for region in _unknown_regions(image, image.id in lost)]
    joints = len(data.skeleton.keypoints)
    annotations += [_ignored(key, *region, joints) for key, region in enumerate(regions, start=first_free)]
    return {
        "images": [{"id": i.id, "width": i.width, "height": i.height, "file_name": i.file_name} for i in images],
        "annotations": annotations,
        "categories": [{"id": PERSON_CATEGORY, "name": "person"}],
    }


def _ignored(key: int, image_id: int, region: Sequence[float], joints: int) -> dict[str, Any]:
    return {
        "id": key,
        "image_id": image_id,
        "category_id": PERSON_CATEGORY,
        "bbox": list(region),
        "area": region[2] * region[3],
        "iscrowd": 1,
        "num_keypoints": 0,
        "keypoints": [0.0] * (3 * joints),
    }


class StepSampler:
    """Yields the batches of the remaining steps, as (step, image index) pairs.

    Every epoch is a permutation that depends on (seed, epoch) only, so a resumed run sees what the
    uninterrupted one would have seen. Of several ranks each takes every so manieth of a batch.
    """

    def __init__(self, images: int, config: TrainConfig, first_step: int = 0, ranks: Ranks = ALONE) -> None:
        self.images = images
        self.config = config
        self.first_step = first_step
        self.ranks = ranks

    def __len__(self) -> int:
        return self.config.iterations - self.first_step

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        size, epoch, order = self.config.batch_size, -1, torch.empty(0, dtype=torch.int64)
        for step in range(self.first_step, self.config.iterations):
            batch = []
            for position in range(step * size, (step + 1) * size):
                if position // self.images != epoch:
                    epoch = position // self.images
                    generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, epoch))
                    order = torch.randperm(self.images, generator=generator)
                batch.append((step, int(order[position % self.images])))
            yield batch[self.ranks.rank :: self.ranks.world]


class PoseDataset(Dataset[Sample]):
    """Augmented samples, addressed by (step, image index): the same pair always gives the same sample."""

    def __init__(
        self, images: list[LabelledImage], config: TrainConfig, model: ModelConfig, skeleton: Skeleton
    ) -> None:
        self.images = images
        self.config = config
        base = model.min_size
        self.sizes = config.sizes or tuple(sorted({round(base * factor) for factor in (0.8, 0.9, 1.0, 1.1, 1.2)}))
        self.max_ratio = model.max_size / model.min_size
        self.flip = torch.tensor(skeleton.flip_permutation)
        self.nothing = empty_sample(model.keypoints, images[0].proposals is not None)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def photos(self) -> int:
        """How many images are read."""
        return len(self.images)

    def __getitem__(self, item: tuple[int, int]) -> Sample:
        step, index = item
        generator = torch.Generator().manual_seed(mixed_seed(self.config.seed, step, self.images[index].image_id))
        try:
            parts = [_pixels_and_target(self.images[one]) for one in self._chosen(index, generator)]
        except ImageError as error:
            return Sample(torch.zeros(3, 32, 32), {}, f"{error} (left out of the training)")
        if len(parts) > 1:
            image, target = mosaic(parts, self.config, self.flip, generator)
        else:
            image, target = augment(*parts[0], self.config, self.sizes, self.max_ratio, self.flip, generator)
        seed = mixed_seed(self.config.seed, step, self.images[index].image_id, 1)
        return Sample(image, {**target, "seed": torch.tensor(seed)})

    def _chosen(self, index: int, generator: torch.Generator) -> list[int]:
        """The images of a sample: the one asked for and, for a mosaic, three or eight others."""
        if float(torch.rand((), generator=generator)) >= self.config.mosaic:
            return [index]
        others = 8 if float(torch.rand((), generator=generator)) < NINE_IN_MOSAICS else 3
        return [index, *torch.randint(len(self.images), (others,), generator=generator).tolist()]


def _pixels_and_target(labelled: LabelledImage) -> tuple[Tensor, Target]:
    return torch.from_numpy(labelled.load()).permute(2, 0, 1), labelled.target()


def mixed_seed(*numbers: int) -> int:
    """One seed from several numbers; neighbouring ones give unrelated seeds."""
    value = 0x9E3779B97F4A7C15
    for number in numbers:
        value = ((value ^ (number & 0xFFFFFFFF)) * 0xBF58476D1CE4E5B9) % 2**64
        value ^= value >> 31
    return value % 2**63
