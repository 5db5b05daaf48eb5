"""The kinds of problems in a data set, the severity of each, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wsol.data.samples import DataSet, Sample

FindingKind = Literal[
    "missing image",
    "broken image",
    "no usable label",
    "one class",
    "empty class",
    "unusable ground truth",
    "same in train and test",
    "same in two classes",
    "alike in train and test",
    "alike in two classes",
    "same image",
    "alike",
    "doubtful classes",
    "wrong in the truth",
    "small class",
    "imbalance",
    "tiny",
    "several pages",
    "dark",
    "blank",
    "elongated",
    "huge",
    "turned",
    "grey",
    "type not read",
    "not used",
    "several labels",
    "unused class",
    "no truth",
    "no true box",
    "not compared",
]
Severity = Literal["error", "warn", "info"]

TINY_PX, HUGE_MEGAPIXELS, ELONGATED, FEW, TIMES = 64, 50, 4, 10, 10
"""Limits: shorter side in pixels; area; longer side divided by shorter side; images per class; size of the largest
class divided by that of the class."""

ADVICE: dict[FindingKind, tuple[Severity, str]] = {
    "missing image": ("error", "Restore them, give their folder with --images, or remove them from the list."),
    "broken image": ("error", "Repair or remove them; until then they are skipped."),
    "no usable label": (
        "error",
        "Fix the labels; until then these images are left out. Images without a label that contain no object are used"
        " with `wsol fit --no-object unlabelled`.",
    ),
    "one class": ("error", "Add a class of other images: training needs at least two classes."),
    "empty class": ("error", "Add training images, or remove the classes."),
    "unusable ground truth": ("error", "Fix this; until then nothing can be evaluated."),
    "same in train and test": ("error", "Remove them from one of the two; otherwise the evaluation is too optimistic."),
    "same in two classes": ("error", "Choose one class: these files are identical."),
    "alike in train and test": (
        "warn",
        "Check them; the same photograph in both makes the evaluation too optimistic.",
    ),
    "alike in two classes": ("warn", "Check them; the same photograph should have one class."),
    "same image": ("warn", "Keep one of each: these files are identical."),
    "alike": ("warn", "Check them; keep one copy of each photograph."),
    "type not read": ("warn", "Convert them to JPEG or PNG if they should be used: these file types are not read."),
    "doubtful classes": ("warn", "Check whether classes and splits are as you mean them."),
    "wrong in the truth": ("warn", "Fix them; wrong entries are not evaluated (boxes that are clipped are)."),
    "small class": ("warn", f"Add images: fewer than {FEW} training images are too few to learn from."),
    "imbalance": ("warn", f"Add images: the largest class has more than {TIMES} times as many."),
    "tiny": ("warn", f"Find larger ones: the shorter side is below {TINY_PX} pixels."),
    "several pages": (
        "warn",
        "Choose one with --image.page, or save the pages as files: only the first page is read.",
    ),
    "dark": (
        "warn",
        (
            "Choose a window, such as --image.window 1%,99%, if they have more than 8 bits: no pixel is brighter than a"
            " sixteenth of the range. Else stretch their values."
        ),
    ),
    "blank": ("warn", "Remove them: the whole image has one colour."),
    "elongated": (
        "warn",
        f"Crop them: one side is more than {ELONGATED} times the other, and networks get images resized to a square.",
    ),
    "huge": ("info", f"Scale them down for speed: they are above {HUGE_MEGAPIXELS} megapixels."),
    "turned": ("info", "Nothing to do in wsol, which applies the EXIF orientation; other tools may show them rotated."),
    "grey": ("info", "Nothing to do if they are meant to be without colour."),
    "not used": ("info", "Move them into a class folder if they should be used: they are in no class folder."),
    "several labels": (
        "info",
        "Nothing to do for methods that localize each label (spol, cam, instant, ddt); others leave these images out.",
    ),
    "unused class": ("info", "Nothing to do if these classes are not needed: they have no images and are left out."),
    "no truth": ("info", "Not needed for training; `wsol evaluate` needs boxes or masks."),
    "no true box": ("info", "Not needed for training; `wsol evaluate` leaves these test images out."),
    "not compared": ("info", "Check a part of the data at a time: every image is compared with every other."),
}
"""Severity and advice for each kind, the most severe first."""


@dataclass(frozen=True)
class Item:
    """One problem: of an image, a group of images, a class, or a line of the ground truth."""

    what: str
    """The details, without the names of the images."""
    samples: tuple[Sample, ...] = ()
    """The images concerned, if any."""

    def __str__(self) -> str:
        names = " = ".join(sample.image_id for sample in self.samples)
        return ": ".join(filter(None, (names, self.what)))


@dataclass(frozen=True)
class Finding:
    """All items of one kind."""

    kind: FindingKind
    items: tuple[Item, ...]

    @property
    def severity(self) -> Severity:
        """`error`, `warn` or `info`."""
        return ADVICE[self.kind][0]

    @property
    def what_to_do(self) -> str:
        """Advice, in a sentence or two."""
        return ADVICE[self.kind][1]

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON; images are given by image id."""
        items = [{"what": str(item), "images": [sample.image_id for sample in item.samples]} for item in self.items]
        head = {"kind": self.kind, "severity": self.severity, "count": len(self.items)}
        return {**head, "what_to_do": self.what_to_do, "items": items}


@dataclass(frozen=True)
class Findings:
    """The findings of a data set, the most severe first; every finding has at least one item."""

    data: DataSet
    found: tuple[Finding, ...]

    @classmethod
    def of(cls, data: DataSet, items: Mapping[FindingKind, list[Item]]) -> Findings:
        """Make findings of the items of each kind, in the order of `ADVICE`; kinds without items are left out."""
        return cls(data, tuple(Finding(kind, tuple(items[kind])) for kind in ADVICE if items.get(kind)))

    @property
    def is_wrong(self) -> bool:
        """Whether there is any error or warning."""
        return any(finding.severity != "info" for finding in self.found)

    def __getitem__(self, kind: FindingKind) -> tuple[Item, ...]:
        return next((finding.items for finding in self.found if finding.kind == kind), ())

    def as_json(self) -> dict[str, Any]:
        """The content of `--json`."""
        data = self.data
        images = {"train": len(data.train), "test": len(data.test) if data.has_split else 0}
        return {
            "data": str(data.root),
            "kind": data.kind,
            "classes": len(data.class_names),
            "images": images,
            "is_wrong": self.is_wrong,
            "findings": [finding.as_json() for finding in self.found],
        }
