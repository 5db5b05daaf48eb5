"""Protocols are values with the names of the field."""

from __future__ import annotations

from typing import get_args

import pytest

from wsol.config.base import ProtocolName
from wsol.errors import WsolError
from wsol.metrics.protocols import PROTOCOLS, protocols_named


def test_every_name_is_a_protocol_of_that_name() -> None:
    assert set(PROTOCOLS) == set(get_args(ProtocolName))
    assert all(protocol.name == name for name, protocol in PROTOCOLS.items())


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param("original", ["original"], id="one"),
        pytest.param("wsol-v2, spol", ["wsol-v2", "spol"], id="two, in the order asked for"),
        pytest.param("spol,spol", ["spol"], id="one twice"),
    ],
)
def test_protocols_are_named_in_a_list(names: str, expected: list[str]) -> None:
    assert [protocol.name for protocol in protocols_named(names)] == expected


@pytest.mark.parametrize(
    ("names", "words"),
    [
        pytest.param("", "no protocol ''", id="nothing"),
        pytest.param("wsol-v3", "Did you mean wsol-v2?", id="a misspelt one"),
        pytest.param("original,coco", "expected some of original, spol, wsol-v1, wsol-v2", id="an unknown one"),
    ],
)
def test_an_unknown_protocol_is_named(names: str, words: str) -> None:
    with pytest.raises(WsolError) as raised:
        protocols_named(names)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("name", "is_imagenet", "own", "expected"),
    [
        pytest.param("original", False, 0.37, 0.37, id="the model's own"),
        pytest.param("spol", False, 0.37, 0.2, id="0.2 on CUB and elsewhere, whatever the model's own is"),
        pytest.param("spol", True, None, 0.8, id="0.8 on ImageNet"),
        pytest.param("wsol-v1", False, 0.37, None, id="none: the best"),
        pytest.param("wsol-v2", True, 0.37, None, id="none: the best for each IoU"),
    ],
)
def test_thresholds_by_protocol_and_data(
    name: ProtocolName, is_imagenet: bool, own: float | None, expected: float | None
) -> None:
    assert PROTOCOLS[name].threshold_for(own, is_imagenet=is_imagenet) == expected


def test_only_spol_may_leave_images_out() -> None:
    assert [one.empty for one in protocols_named("original,spol,wsol-v2", empty="left-out")] == [
        "wrong",
        "left-out",
        "wrong",
    ]
