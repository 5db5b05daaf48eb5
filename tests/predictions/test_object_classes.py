"""Without the classes that no object has: every object keeps its class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from fake_data.predictions import CLASSES, line, ones
from hypothesis import given
from hypothesis import strategies as st

from wsol.predictions.object_classes import labels_without_objects, without_labels
from wsol.predictions.records import LINES, Predictions, write_lines

MASK = ones((40, 60), (10, 5, 30, 25))
IMAGES = st.lists(st.tuples(st.sampled_from([0, 1, 2, None]), st.booleans()), max_size=5)


@given(IMAGES, st.sets(st.sampled_from(CLASSES)))
def test_objects_keep_their_classes_and_images_their_names(
    images: list[tuple[int | None, bool]], no_object: set[str]
) -> None:
    lines = [
        line(f"{number}.jpg", label, *([MASK] if has_box and label is not None else []))
        for number, (label, has_box) in enumerate(images)
    ]
    with TemporaryDirectory() as folder:
        write_lines(Path(folder) / LINES, lines)
        before = Predictions(Path(folder), Path(folder), CLASSES, no_object=frozenset(no_object))
        removed = labels_without_objects(before)
        after = without_labels(before, removed)
        used = {one.class_name for one in lines if one.objects}
        kept = tuple(name for name in CLASSES if name in used or name not in no_object)
        assert after.class_names == (kept or ("object",))
        for own, one in zip(lines, after, strict=True):
            assert replace(one, label=own.label) == own, "nothing else changes"
            expected = own.class_name if own.class_name in kept else None
            assert (None if one.label is None else after.class_names[one.label]) == expected
