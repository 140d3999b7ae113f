"""A line of the model library: what is known of a model. Plain data, which the window reads, too."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

Kind = Literal["bundled", "download", "fine-tuned", "file", "architecture"]


@dataclass(frozen=True)
class ModelEntry:
    """A line of the library.

    Attributes:
        name: What commands take.
        title: For people.
        kind: "architecture" is a preset without weights: something to train.
        pose: Whether it finds people's joints; ImageNet weights do not.
        path: Its file, absolute; None when it is not here.
        hash: 12 hexadecimal digits, of a damaged file, too; None without a readable one.
        size: Bytes; of what is not downloaded yet, as published.
        here: Bytes of it that a broken or cancelled download has left.
        architecture: Preset; the backbone where pose is False.
        licence: "" when nobody has said anything.
        figures: "keypoint_ap", "box_ap" or "top1", 0..1, where known, measured on `figures_on`.
        before: The same figures before the fine-tuning.
        url: Of a download.
        date: Of the file, ISO 8601, local time, to the second.
        by_hand: What to do without a network, a sentence; "" for what is here.
        parent: Hash of the model that training began from, or that was calibrated.
        parent_title: What the library calls it; "" when it is not here.
        data: Hashes of the label files that it learnt from, or was calibrated on.
        calibrated: Whether only its confidences are its own: the weights and the figures are its parent's.
        problem: A sentence when it cannot be used; a download that is not here has none.
    """

    name: str
    title: str
    kind: Kind
    pose: bool = True
    path: Path | None = None
    hash: str | None = None
    size: int | None = None
    here: int = 0
    architecture: str = ""
    licence: str = ""
    figures: dict[str, float] = field(default_factory=dict)
    figures_on: str = ""
    before: dict[str, float] = field(default_factory=dict)
    url: str = ""
    by_hand: str = ""
    date: str = ""
    parent: str = ""
    parent_title: str = ""
    data: tuple[str, ...] = ()
    calibrated: bool = False
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether it is a pose model that is here."""
        return self.pose and self.path is not None and not self.problem

    def to_plain(self) -> dict[str, Any]:
        """Its fields as JSON has them."""
        return {**asdict(self), "path": str(self.path) if self.path else None, "data": list(self.data)}

    @classmethod
    def from_plain(cls, facts: Any) -> "ModelEntry":
        """What `to_plain` has made. Raises msgspec.ValidationError."""
        return msgspec.convert(facts, cls, dec_hook=lambda _, text: Path(text))
