"""A box and a mask of one object, which tools write as two shapes."""

from __future__ import annotations

import pytest

from wsol.data.readers.annotated import Outline, Shape, each_object
from wsol.geometry.boxes import Xyxy

BOX: Xyxy = (5, 6, 9, 8)
POLYGON = [[5.0, 6.0, 9.0, 6.0, 9.0, 8.0]]


def shape(class_name: str) -> Shape:
    return Shape(class_name, "a.xml", lambda: Outline(BOX))


@pytest.mark.parametrize(
    ("first", "second", "count"),
    [
        pytest.param(("owl", BOX, None), ("owl", BOX, POLYGON), 1, id="a box and its mask"),
        pytest.param(("owl", BOX, POLYGON), ("owl", BOX, None), 1, id="the mask first"),
        pytest.param(("owl", BOX, None), ("hawk", BOX, POLYGON), 2, id="of two classes"),
        pytest.param(("owl", BOX, None), ("owl", (5, 6, 9, 9.5), POLYGON), 2, id="with other bounds"),
        pytest.param(("owl", BOX, None), ("owl", BOX, None), 2, id="two boxes"),
        pytest.param(("owl", BOX, POLYGON), ("owl", BOX, POLYGON), 2, id="two masks"),
    ],
)
def test_a_box_and_a_mask_of_one_object_are_one_object(
    first: tuple[str, Xyxy, list[list[float]] | None], second: tuple[str, Xyxy, list[list[float]] | None], count: int
) -> None:
    found = [(shape(name), Outline(corners, polygons)) for name, corners, polygons in (first, second)]
    objects = each_object(found)
    assert len(objects) == count
    assert all(outline.corners == BOX and outline.segmentation for _, outline in objects) or count == 2
