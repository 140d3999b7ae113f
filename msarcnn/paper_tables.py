"""The paper's Tables 1, 2 and 4: its numbers, and the presets that stand beside them. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from msarcnn.presets import LADDER

COLUMNS = {
    "AP": ("AP", ".1f"),
    "AP50": ("AP50", ".1f"),
    "AP75": ("AP75", ".1f"),
    "APm": ("APm", ".1f"),
    "APl": ("APl", ".1f"),
    "box_AP": ("box AP", ".1f"),
    "parameters": ("M parameters", ".1f"),
    "seconds": ("s an image", ".3g"),
    "time_ratio": ("ratio", ".2f"),
    "training_gb": ("GB to train", ".1f"),
    "memory_ratio": ("ratio", ".2f"),
}
"""Every column's heading and format: AP in per cent, parameters in millions, ratios to Mask R-CNN."""


@dataclass(frozen=True)
class PaperRow:
    """A row of a table.

    Attributes:
        words: The paper's.
        presets: Whose figures stand beside it, the one to train first.
        figures: The paper's, by column.
    """

    words: str
    presets: tuple[str, ...]
    figures: Mapping[str, float]


@dataclass(frozen=True)
class PaperTable:
    """A table: its number in the paper, what it shows, and its columns (see COLUMNS)."""

    number: int
    caption: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]


_AP = ("AP", "AP50", "AP75", "APm", "APl", "box_AP")
_COSTS = ("AP", "seconds", "time_ratio", "training_gb", "memory_ratio")
_MSA = ("msa_rcnn_resnet50_fpn", "msa_rcnn_top2")
"""One network, but for the BatchNorms' epsilon."""


_MASK_RCNN = (0.17, 7.7)
"""Seconds an image and GB to train, what the paper's ratios are to."""


def _ladder() -> tuple[PaperRow, ...]:
    rows = []
    for row in LADDER:
        presets = _MSA[::-1] if row.name in _MSA else (row.name,)
        rows.append(PaperRow(row.words, presets, dict(zip(_AP, row.paper, strict=True))))
    return tuple(rows)


def _costs(words: str, presets: tuple[str, ...], ap: float, seconds: float, gigabytes: float) -> PaperRow:
    times, memories = round(seconds / _MASK_RCNN[0], 3), round(gigabytes / _MASK_RCNN[1], 3)
    values = (ap, seconds, times, gigabytes, memories)
    return PaperRow(words, presets, dict(zip(_COSTS, values, strict=True)))


TABLE_1 = PaperTable(
    1, "keypoint AP, and box AP of people, in per cent; the paper's on COCO's validation set", _AP, _ladder()
)
TABLE_2 = PaperTable(
    2,
    "how MS-RoIAlign joins the levels; parameters without the RPN's",
    ("AP", "parameters", "training_gb"),
    (
        PaperRow("Sum", _MSA, {"AP": 67.6, "parameters": 76.3, "training_gb": 10.8}),
        PaperRow("Concat", ("msa_rcnn_concat",), {"AP": 67.6, "parameters": 137.2, "training_gb": 14.4}),
    ),
)
TABLE_4 = PaperTable(
    4,
    "what it costs; ratios to Mask R-CNN, the paper's and ours each on its own machine",
    _COSTS,
    (
        _costs("CPN-50 and its detector", ("cpn50",), 67.3, 0.31, 18.4),
        _costs("Mask R-CNN", ("mask_rcnn_resnet50_fpn",), 63.1, *_MASK_RCNN),
        _costs("Mask R-CNN+", ("mask_rcnn_plus", "mask_rcnn_plus_64x4d"), 67.0, 0.31, 14.2),
        _costs("MSA R-CNN", _MSA, 67.6, 0.21, 10.8),
    ),
)
"""CPN-50's are the sums of 0.10 and 0.21 s, 7.9 and 10.5 GB. Mask R-CNN's AP is 63.1 here, 64.1 in Table 1."""

TABLES = (TABLE_1, TABLE_2, TABLE_4)
