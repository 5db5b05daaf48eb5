"""The evaluation protocols of the field: published numbers can be compared only under the same protocol.

| protocol   | ground truth                       | box from a map    | threshold          | IoU       | correct       |
|------------|------------------------------------|-------------------|--------------------|-----------|---------------|
| `original` | the image's own pixels             | largest component | the model's own    | plain     | at least 0.5  |
| `spol`     | centre crop of 224 from 256        | largest contour   | 0.2; ImageNet: 0.8 | plain     | above 0.5     |
| `wsol-v1`  | resized to 224, integers           | largest contour   | the best           | plus one  | at least 0.5  |
| `wsol-v2`  | resized to 224, integers           | any contour       | the best, for each | plus one  | 0.3, 0.5, 0.7 |

`spol`: Wei et al. 2021, as in their published code. `wsol-v1` and `wsol-v2`: Choe et al. 2020 and 2022, MaxBoxAcc and
MaxBoxAccV2, as in clovaai/wsolevaluation. Best thresholds are chosen on the evaluated images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from wsol.config.base import ProtocolName
from wsol.config.messages import check_choice, check_fraction
from wsol.errors import WsolError
from wsol.geometry.threshold_sweep import BoxRule

Geometry = Literal["image", "crop", "square"]
"""`image`: the image's own pixels; `crop`: resized to 256 x 256, then a centre crop of 224; `square`: resized to
224 x 224, corners truncated to integers."""
ThresholdRule = Literal["own", "fixed", "best"]
IouRule = Literal["plain", "plus one"]
"""`plus one`: corners are the first and the last pixel, so that the width is x1 - x0 + 1."""
Correct = Literal["at least", "above"]
Empty = Literal["wrong", "left-out"]
"""How an image counts if no pixel of its map is above the threshold."""


@dataclass(frozen=True)
class Protocol:
    """The rules of an evaluation."""

    name: ProtocolName
    geometry: Geometry
    boxes: BoxRule
    threshold: ThresholdRule
    iou: IouRule
    correct: Correct = "at least"
    levels: tuple[float, ...] = (0.5,)
    """The IoUs at which a box counts as correct; the middle one is that of the main metric."""
    empty: Empty = "wrong"
    fixed: tuple[float, float] = (0.2, 0.8)
    """The fixed thresholds: the second for ImageNet, the first for other data sets."""

    def threshold_for(self, own: float | None, *, is_imagenet: bool) -> float | None:
        """The threshold of a system under this protocol; None if the protocol searches for the best.

        Args:
            own: the system's own threshold.
            is_imagenet: whether the data set is ImageNet.
        """
        return {"own": own, "fixed": self.fixed[is_imagenet], "best": None}[self.threshold]


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "original": Protocol("original", "image", "largest component", "own", "plain"),
    "spol": Protocol("spol", "crop", "largest contour", "fixed", "plain", "above"),
    "wsol-v1": Protocol("wsol-v1", "square", "largest contour", "best", "plus one", levels=(0.3, 0.5, 0.7)),
    "wsol-v2": Protocol("wsol-v2", "square", "any contour", "best", "plus one", levels=(0.3, 0.5, 0.7)),
}


def default_protocols(*, has_maps: bool) -> str:
    """The default protocols for results of other systems: best threshold for maps, `original` for boxes."""
    return "wsol-v1,wsol-v2" if has_maps else "original"


def protocols_named(names: str, *, empty: Empty = "wrong") -> tuple[Protocol, ...]:
    """The protocols of a comma-separated list.

    Args:
        names: for example `original,spol`.
        empty: how `spol` counts an image without any pixel above the threshold.

    Raises:
        WsolError: a name that is not a protocol.
    """
    protocols = []
    for name in dict.fromkeys(part.strip() for part in names.split(",")):
        if name not in PROTOCOLS:
            close = get_close_matches(name, PROTOCOLS, n=1)
            raise WsolError(
                f"no protocol {name!r}",
                expected=f"some of {', '.join(PROTOCOLS)}, separated by commas",
                remedy=f"Did you mean {close[0]}?" if close else None,
            )
        protocol = PROTOCOLS[name]
        protocols.append(replace(protocol, empty=empty) if name == "spol" else protocol)
    return tuple(protocols)


def chosen_protocols(
    names: str, *, empty: Empty, threshold: float | None, step: float, has_classes: bool = False
) -> tuple[Protocol, ...]:
    """The protocols of a comma-separated list, checked together with the other options.

    Args:
        names: for example `original,spol`.
        empty: how `spol` counts an image without any pixel above the threshold.
        threshold: the system's own threshold, if given.
        step: between the thresholds of `wsol-v1` and `wsol-v2`.
        has_classes: whether ranked classes are given.

    Raises:
        WsolError: a name that is not a protocol, a value out of range, or an option that no protocol uses.
    """
    check_choice("empty", empty, Empty)
    if threshold is not None:
        check_fraction("threshold", threshold)
    if not 0.0001 <= step <= 1:
        raise WsolError(
            "--threshold-step", expected="a number from 0.0001 to 1", got=f"{step}", remedy="The usual one is 0.001."
        )
    protocols = protocols_named(names, empty=empty)
    if threshold is not None and not any(one.threshold == "own" for one in protocols):
        own = ", ".join(one.name for one in protocols)
        raise WsolError(
            f"--threshold is for protocol original: {own} has its own rule",
            remedy="Leave it out, or add original to --protocol.",
        )
    if has_classes and all(one.threshold == "best" for one in protocols):
        raise WsolError(
            "--classes is for Top-1 and Top-5 Loc, which wsol-v1 and wsol-v2 do not have",
            remedy="Leave it out, or add original or spol to --protocol.",
        )
    return protocols
