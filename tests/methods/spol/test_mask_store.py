"""Pseudo masks on disk: small, random access, and close enough to the exact map where it matters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from wsol.config.methods import Pseudo
from wsol.errors import WsolError
from wsol.methods.spol.gaussian_prior import mask_targets, render
from wsol.methods.spol.mask_store import (
    ABSENT,
    EMPTY,
    INDEX,
    MASKS_FILE,
    NOT_FINITE,
    SIZE_PX,
    WHOLE,
    PseudoStore,
    all_background,
    create,
    decode,
    encode,
    mask_record,
    record_of,
)

COUNT, MAP_HW, GAUSSIANS = 60, (28, 28), 8


def record(number: int) -> tuple[Tensor, Tensor]:
    """The map and the Gaussians of a record, from its number alone."""
    generator = torch.Generator().manual_seed(number)
    heatmap = torch.rand(MAP_HW, generator=generator) ** 4
    return heatmap / heatmap.max(), torch.rand(GAUSSIANS, 5, generator=generator) * 0.5 + 0.1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store of sixty records: all whole but 7 (empty), 8 (not finite) and 9 (never written)."""
    store = tmp_path / "run" / "pseudo"
    store.mkdir(parents=True)
    records = create(
        store,
        [f"owl/Käuzchen {number}.jpg" for number in range(COUNT - 1)] + ["raw \udcff.jpg"],
        record_of(MAP_HW, GAUSSIANS),
    )
    for number in range(COUNT):
        heatmap, gaussians = record(number)
        records["map"][number] = encode(heatmap[None])[0].numpy()
        records["gaussians"][number] = gaussians.numpy()
        records["state"][number] = {7: EMPTY, 8: NOT_FINITE, 9: ABSENT}.get(number, WHOLE)
    records.flush()
    return store


VALUES = torch.linspace(0, 1, 100_001)


def test_a_decoded_value_is_within_half_a_step_of_its_root() -> None:
    back = decode(encode(VALUES[None, None]))[0, 0]
    assert (back.sqrt() - VALUES.sqrt()).abs().max() <= 0.5 / 255 + 1e-6
    assert (back - VALUES).abs().max() < 0.004
    assert back[0] == 0
    assert back[-1] == 1
    assert (back.diff() >= 0).all()


def test_every_code_survives_decoding_and_encoding() -> None:
    codes = torch.arange(256, dtype=torch.uint8)[None, None]
    assert torch.equal(encode(decode(codes)), codes)


@pytest.mark.parametrize("values", [[-1.0, 0.0], [2.0, 1.0]])
def test_values_outside_are_clamped(values: list[float]) -> None:
    given, expected = (encode(torch.tensor([[[value]]])) for value in values)
    assert torch.equal(given, expected)


@pytest.mark.parametrize(("threshold", "tolerance"), [(0.004, 0.00025), (0.01, 0.0004), (0.25, 0.002), (0.5, 0.003)])
def test_thresholds_give_the_same_result_as_on_the_exact_map(threshold: float, tolerance: float) -> None:
    back = decode(encode(VALUES[None, None]))[0, 0]
    differs = (back < threshold) != (threshold > VALUES)
    assert ((VALUES[differs] - threshold).abs() < tolerance).all()


def check(store: PseudoStore, numbers: list[int]) -> None:
    maps, gaussians = store.stored(torch.tensor(numbers, dtype=torch.int64))
    for row, number in enumerate(numbers):
        heatmap, expected = record(number)
        assert torch.equal(maps[row], decode(encode(heatmap[None]))[0])
        assert torch.equal(gaussians[row], expected)


def test_records_can_be_read_in_any_order(folder: Path) -> None:
    store = PseudoStore(folder)
    assert len(store) == COUNT
    assert store.image_ids[3] == "owl/Käuzchen 3.jpg"
    assert store.image_ids[-1] == "raw \udcff.jpg"
    for numbers in ([0], [59, 0, 30], [5, 5, 5], list(range(COUNT)), []):
        check(store, numbers)


def test_states_are_counted_and_only_whole_maps_are_usable(folder: Path) -> None:
    store = PseudoStore(folder)
    assert store.counts() == {"usable": COUNT - 3, "empty": 1, "not_finite": 1, "broken_images": 1, "chosen": 0}
    assert store.usable() == [number for number in range(COUNT) if number not in (7, 8, 9)]


def test_a_record_is_about_a_kilobyte_and_the_file_is_mapped_not_read(folder: Path) -> None:
    size = (folder / MASKS_FILE).stat().st_size
    assert size / COUNT < 1100
    base: Any = PseudoStore(folder).records
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert base.mode == "r"


def test_planes_are_the_map_and_its_gaussians_at_the_image_size(folder: Path) -> None:
    store, numbers = PseudoStore(folder), torch.tensor([4, 2])
    planes = store.at_size(numbers, 40, torch.device("cpu"))
    maps, gaussians = store.stored(numbers)
    assert planes.shape == (2, 2, 40, 40)
    torch.testing.assert_close(
        planes[:, 0], interpolate(maps[:, None], (40, 40), mode="bilinear", align_corners=False)[:, 0]
    )
    torch.testing.assert_close(planes[:, 1], render(gaussians, (40, 40)))


@pytest.mark.parametrize("absent", [MASKS_FILE, INDEX])
def test_the_error_about_an_absent_store_says_how_to_make_it(folder: Path, absent: str) -> None:
    (folder / absent).unlink()
    with pytest.raises(WsolError, match="wsol make-pseudo"):
        PseudoStore(folder)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_the_error_about_a_damaged_store_says_what_to_do(folder: Path, content: bytes) -> None:
    (folder / MASKS_FILE).write_bytes(content)
    with pytest.raises(WsolError, match="wsol make-pseudo"):
        PseudoStore(folder).counts()


@pytest.fixture
def masks_folder(tmp_path: Path) -> Path:
    """A store of three masks from cues; the last one is never written."""
    store = tmp_path / "run" / "pseudo"
    store.mkdir(parents=True)
    records = create(store, ["a.jpg", "b.jpg", "c.jpg"], mask_record())
    for number in range(2):
        records["inside"][number] = np.packbits(object_mask(number), axis=-1)
        records["state"][number] = WHOLE
    records.flush()
    return store


def object_mask(number: int) -> np.ndarray:
    """The mask of a record, from its number alone."""
    return np.random.default_rng(number).random((SIZE_PX, SIZE_PX)) < 0.3


def test_masks_can_be_read_bit_by_bit_in_any_order(masks_folder: Path) -> None:
    store = PseudoStore(masks_folder)
    assert store.holds_masks
    assert store.usable() == [0, 1]
    found = store.masks(torch.tensor([1, 0, 1]))
    assert found.shape == (3, 1, SIZE_PX, SIZE_PX)
    for row, number in enumerate((1, 0, 1)):
        np.testing.assert_array_equal(found[row, 0].numpy(), object_mask(number))


def test_masks_keep_their_position_at_the_image_size(masks_folder: Path) -> None:
    planes = PseudoStore(masks_folder).at_size(torch.tensor([0]), 2 * SIZE_PX, torch.device("cpu"))
    target = mask_targets(planes[:, 0])
    agrees = target.value[0].numpy() == np.kron(object_mask(0), np.ones((2, 2)))
    assert agrees.mean() > 0.9  # the others are between different pixels
    assert set(target.value.unique().tolist()) == {0.0, 1.0} and target.weight.unique().tolist() == [1.0]


def test_maps_are_not_masks(folder: Path) -> None:
    assert not PseudoStore(folder).holds_masks


def test_the_foreground_fraction_is_that_of_all_masks(masks_folder: Path) -> None:
    store = PseudoStore(masks_folder)
    everything = [*range(len(store))]
    masks = store.masks(torch.tensor(everything))
    assert store.foreground_fraction(everything) == pytest.approx(masks.mean().item())


def test_the_foreground_fraction_of_maps_is_not_small(folder: Path) -> None:
    assert PseudoStore(folder).foreground_fraction([0]) == 1


@pytest.mark.parametrize("layout", [mask_record(), record_of(MAP_HW, GAUSSIANS)], ids=["mask", "map"])
def test_all_background_is_usable_and_has_no_foreground(tmp_path: Path, layout: np.dtype[Any]) -> None:
    records = create(tmp_path, ["a.jpg"], layout)
    records[0] = all_background(layout)
    store = PseudoStore(tmp_path)
    value, weight = store.targets(store.at_size(torch.tensor([0]), 32, torch.device("cpu")), Pseudo())
    assert store.usable() == [0] and not value.any() and weight.all()
