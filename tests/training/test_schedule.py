"""Which images a step uses, and how processes split them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsol.config.base import Training
from wsol.training.schedule import Schedule, in_pairs, micro_batches


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 12))
def test_processes_take_every_image_once_in_equally_many_nonempty_micro_batches(
    batch_size: int, processes: int, most: int
) -> None:
    processes = min(processes, batch_size)
    images = list(range(batch_size))
    taken = [[images[one] for one in own] for own in micro_batches(batch_size, processes, most)]
    assert sorted(image for own in taken for one in own for image in one) == images
    assert len({len(own) for own in taken}) == 1
    assert all(1 <= len(one) <= most + 1 for own in taken for one in own)


@pytest.mark.parametrize(
    ("batch_size", "processes", "most", "expected"),
    [
        pytest.param(4, 1, 4, [[[0, 1, 2, 3]]], id="one process, all at once"),
        pytest.param(4, 1, 2, [[[0, 2], [1, 3]]], id="one process, two at a time"),
        pytest.param(4, 2, 9, [[[0, 2]], [[1, 3]]], id="two processes"),
        pytest.param(5, 2, 1, [[[0, 4], [2]], [[1], [3]]], id="an uneven split: one is larger than the maximum"),
    ],
)
def test_micro_batches_by_example(batch_size: int, processes: int, most: int, expected: list[list[list[int]]]) -> None:
    images = list(range(batch_size))
    assert [[images[one] for one in own] for own in micro_batches(batch_size, processes, most)] == expected


@given(st.integers(2, 30), st.integers(1, 8), st.integers(1, 4), st.integers(0, 99))
def test_an_epoch_uses_each_image_once_except_an_incomplete_batch(
    count: int, batch_size: int, epochs: int, seed: int
) -> None:
    usable = range(100, 100 + count)
    schedule = Schedule.of(usable, Training(epochs=epochs, batch_size=batch_size), seed)
    assert schedule.batch_size == min(batch_size, count) and schedule.epochs == epochs
    for epoch in range(epochs):
        steps = schedule.epoch_of(epoch * schedule.steps_per_epoch)
        seen = [i for batch in schedule.batches(steps) for i in batch]
        assert len(set(seen)) == len(seen) == count // schedule.batch_size * schedule.batch_size
        assert set(seen) <= set(usable)


@pytest.mark.parametrize(
    ("training", "steps"),
    [
        pytest.param(Training(epochs=2, batch_size=5), 8, id="no minimum"),
        pytest.param(Training(epochs=2, batch_size=5, least_steps=8), 8, id="enough"),
        pytest.param(Training(epochs=2, batch_size=5, least_steps=9), 9, id="one more than these epochs make"),
        pytest.param(Training(epochs=2, steps=3, batch_size=5, least_steps=9), 3, id="given steps are exact"),
        pytest.param(Training(epochs=2, batch_size=50, least_steps=9), 9, id="a batch of all images"),
    ],
)
def test_a_small_set_gets_more_epochs(training: Training, steps: int) -> None:
    schedule = Schedule.of(range(20), training, 0)
    assert schedule.steps == steps
    assert [len(batch) for batch in schedule.batches(schedule.epoch_of(steps - 1))][-1:] == [schedule.batch_size]


@given(st.integers(2, 30), st.integers(1, 8), st.integers(1, 40), st.data())
def test_the_images_of_a_step_do_not_depend_on_the_first_step(
    count: int, batch_size: int, steps: int, data: st.DataObject
) -> None:
    schedule = Schedule.of(range(count), Training(steps=steps, batch_size=batch_size), 7)
    epoch = schedule.epoch_of(data.draw(st.integers(0, steps - 1)))
    start = data.draw(st.integers(epoch.start, epoch.stop))
    whole = schedule.batches(epoch)
    assert schedule.batches(range(start, epoch.stop)) == whole[start - epoch.start :]
    assert len(whole) == len(epoch) and schedule.epochs == -(-steps // schedule.steps_per_epoch)


def test_epochs_and_seeds_differ() -> None:
    one, other = (Schedule.of(range(50), Training(epochs=2, batch_size=10), seed) for seed in (0, 1))
    orders = [schedule.batches(range(at, at + 5)) for schedule in (one, other) for at in (0, 5)]
    assert all(a != b for i, a in enumerate(orders) for b in orders[i + 1 :])


@given(st.lists(st.integers(0, 5), max_size=40))
def test_pairs_are_of_one_class_and_the_rest_comes_last(classes: list[int]) -> None:
    order = in_pairs(range(len(classes)), classes)
    assert sorted(order) == list(range(len(classes)))
    pairs = sum(count // 2 for count in Counter(classes).values())
    assert all(classes[order[2 * i]] == classes[order[2 * i + 1]] for i in range(pairs))
    left = [classes[i] for i in order[2 * pairs :]]
    assert len(set(left)) == len(left)


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_batch_holds_pairs_in_each_part_that_a_process_takes(parts: int) -> None:
    classes = [i % 20 for i in range(120)]
    schedule = Schedule.of(range(120), Training(epochs=2, batch_size=16), 3, classes)
    first, second = (schedule.batches(range(at, at + 7)) for at in (0, 7))
    assert first != second
    for batch in (*first, *second):
        for part in range(parts):
            taken = [classes[i] for i in batch[part::parts]]
            assert taken[: len(taken) // 2] == taken[len(taken) // 2 :]
