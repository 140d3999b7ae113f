"""A model library of a test's own, whose published models lie on a web server of this machine."""

import hashlib
import io
import zipfile
from importlib.metadata import version
from pathlib import Path

from msarcnn.library_file import LibraryFile, LibraryState, Published
from msarcnn.published_models import COCO, PublishedModel


def weights_file(size: int = 300_000) -> bytes:
    """What looks like a file of torch.save from outside."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("weights/data.pkl", b"\x80\x02.")
        file.writestr("weights/data/0", bytes(size))
    return archive.getvalue()


def name_of(content: bytes) -> str:
    """The name that torchvision would give a file of this content."""
    return f"keypoints-{hashlib.sha256(content).hexdigest()[:8]}.pth"


BACKBONE = weights_file(1000)
"""The file of "imagenet-resnet50"."""
BACKBONE_NAME = f"resnet50-{hashlib.sha256(BACKBONE).hexdigest()[:8]}.pth"


def publish(folder: Path, url: str, size: int) -> PublishedModel:
    """Lets the library of a folder know "coco" at an address, and a backbone beside it; torchvision is not asked."""
    terms = "BSD 3-Clause"
    figures = {"keypoint_ap": 0.65, "box_ap": 0.546}
    coco = PublishedModel(
        COCO, "COCO Keypoint R-CNN", True, "mask_rcnn_resnet50_fpn", url, size, terms, figures, "COCO-val2017"
    )
    beside, title = f"{url.rpartition('/')[0]}/{BACKBONE_NAME}", "ImageNet weights of resnet50"
    backbone = PublishedModel("imagenet-resnet50", title, False, "resnet50", beside, len(BACKBONE), terms)
    state = LibraryState(published=Published(version("torchvision"), (coco, backbone)))
    LibraryFile(folder).change(lambda _: state)
    return coco
