"""What can be wrong with a data set, how bad that is, and what to do about it."""

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
    "dark",
    "blank",
    "elongated",
    "huge",
    "turned",
    "grey",
    "type not read",
    "not used",
    "unused class",
    "no truth",
    "no true box",
    "not compared",
]
Severity = Literal["error", "warn", "info"]

TINY_PX, HUGE_MEGAPIXELS, ELONGATED, FEW, TIMES = 64, 50, 4, 10, 10
"""The shorter side, the area, the longer side in shorter sides; images a class; the largest class in smallest ones."""

ADVICE: dict[FindingKind, tuple[Severity, str]] = {
    "missing image": ("error", "Restore them, say with --images where they are, or take them off the list."),
    "broken image": ("error", "Repair or remove them; they are skipped otherwise."),
    "no usable label": ("error", "Mend the labels; these images are left out."),
    "one class": ("error", "Add a class of other images: one class alone teaches nothing."),
    "empty class": ("error", "Add training images, or remove the classes."),
    "unusable ground truth": ("error", "Fix what it says; until then nothing can be evaluated."),
    "same in train and test": ("error", "Remove them from one of the two, or the evaluation flatters."),
    "same in two classes": ("error", "Decide for one class: these files are the same, byte by byte."),
    "alike in train and test": ("warn", "Look at them; one photograph in both flatters the evaluation."),
    "alike in two classes": ("warn", "Look at them; one photograph has one class."),
    "same image": ("warn", "Keep one of each: these files are the same, byte by byte."),
    "alike": ("warn", "Look at them; keep one of each photograph."),
    "type not read": ("warn", "Convert them to JPEG or PNG if they should be used: no file of these types is read."),
    "doubtful classes": ("warn", "Look whether these folders are classes, or something else."),
    "wrong in the truth": ("warn", "Mend them; what is wrong is not judged (except boxes that are clipped)."),
    "small class": ("warn", f"Add images: fewer than {FEW} to train on teach little."),
    "imbalance": ("warn", f"Add images: the largest class has more than {TIMES} times as many."),
    "tiny": ("warn", f"Find larger ones: the shorter side is below {TINY_PX} pixels."),
    "dark": (
        "warn",
        (
            "Stretch their values: nothing in them is brighter than a sixteenth of the range. Of colours of 16 bits the"
            " upper 8 are read."
        ),
    ),
    "blank": ("warn", "Remove them: one colour all over."),
    "elongated": ("warn", f"Crop them: longer than {ELONGATED} times their width, and networks see them squashed."),
    "huge": ("info", f"Scale them down to be quicker: above {HUGE_MEGAPIXELS} megapixels."),
    "turned": ("info", "Nothing for wsol, which applies EXIF; other tools may show them lying on their side."),
    "grey": ("info", "Nothing, if they are meant to be without colour."),
    "not used": ("info", "Move them into the folder of a class if they should be: these lie in none that is read."),
    "unused class": ("info", "Nothing, if no image of them should be learned from: these classes are left out."),
    "no truth": ("info", "Nothing for training; `wsol evaluate` needs boxes or masks."),
    "no true box": ("info", "Nothing for training; `wsol evaluate` leaves these test images out."),
    "not compared": ("info", "Check a part at a time: every image is compared with every other."),
}
"""The worst first."""


@dataclass(frozen=True)
class Item:
    """One thing found: an image, a group of them, a class, or a line of the truth."""

    what: str
    """What there is to say beside the names of the images."""
    samples: tuple[Sample, ...] = ()
    """The images it is about, if it is about images."""

    def __str__(self) -> str:
        names = " = ".join(sample.image_id for sample in self.samples)
        return ": ".join(filter(None, (names, self.what)))


@dataclass(frozen=True)
class Finding:
    """Everything of one kind."""

    kind: FindingKind
    items: tuple[Item, ...]

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return ADVICE[self.kind][0]

    @property
    def what_to_do(self) -> str:
        """A sentence or two."""
        return ADVICE[self.kind][1]

    def as_json(self) -> dict[str, Any]:
        """Everything, with image ids for images."""
        items = [{"what": str(item), "images": [sample.image_id for sample in item.samples]} for item in self.items]
        head = {"kind": self.kind, "severity": self.severity, "count": len(self.items)}
        return {**head, "what_to_do": self.what_to_do, "items": items}


@dataclass(frozen=True)
class Findings:
    """What was found in a data set, the worst first; no finding is without items."""

    data: DataSet
    found: tuple[Finding, ...]

    @classmethod
    def of(cls, data: DataSet, items: Mapping[FindingKind, list[Item]]) -> Findings:
        """In the order of `ADVICE`, empty kinds left out."""
        return cls(data, tuple(Finding(kind, tuple(items[kind])) for kind in ADVICE if items.get(kind)))

    @property
    def is_wrong(self) -> bool:
        """Whether anything should be mended."""
        return any(finding.severity != "info" for finding in self.found)

    def __getitem__(self, kind: FindingKind) -> tuple[Item, ...]:
        return next((finding.items for finding in self.found if finding.kind == kind), ())

    def as_json(self) -> dict[str, Any]:
        """What `--json` writes."""
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
