"""Heatmaps of other systems: which file belongs to which image, and which arrays are maps."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_data.results import Naming, write_heatmaps
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from wsol.errors import WsolError
from wsol.results.heatmaps import find_heatmaps, read_heatmap, write_heatmap

IDS = ["val2/n01/x.JPEG", "val2/n01/y.JPEG", "val2/n02/x.jpg", "z.v2.png"]
MAP = np.array([[0.0, 0.25, 0.5], [0.75, 1.0, 0.1]], dtype=np.float32)


def names_of(folder: Path, image_ids: list[str]) -> dict[str, str]:
    return {
        image_id: path.relative_to(folder).as_posix() for image_id, path in find_heatmaps(folder, image_ids).items()
    }


@pytest.mark.parametrize(
    ("naming", "files"),
    [
        ("code", ["val2/n01/x.JPEG.npy", "val2/n01/y.JPEG.npy", "val2/n02/x.jpg.npy", "z.v2.png.npy"]),
        ("documentation", ["val2/n01/x.npy", "val2/n01/y.npy", "val2/n02/x.npy", "z.v2.npy"]),
    ],
)
def test_both_ways_to_name_a_heatmap_are_known(tmp_path: Path, naming: Naming, files: list[str]) -> None:
    write_heatmaps(tmp_path, dict.fromkeys(IDS, MAP), naming)
    assert names_of(tmp_path, IDS) == dict(zip(IDS, files, strict=True))


def test_the_full_name_comes_first(tmp_path: Path) -> None:
    for naming in ("code", "documentation"):
        write_heatmaps(tmp_path, {"owl.jpg": MAP}, naming)
    assert names_of(tmp_path, ["owl.jpg"]) == {"owl.jpg": "owl.jpg.npy"}


def test_images_without_a_heatmap_are_absent_and_other_files_do_not_matter(tmp_path: Path) -> None:
    write_heatmaps(tmp_path, {IDS[0]: MAP, "other.jpg": MAP})
    (tmp_path / "val2/n01/y.JPEG.txt").write_text("no heatmap")
    (tmp_path / "z.v2.png").write_text("no heatmap")
    assert names_of(tmp_path, IDS) == {IDS[0]: "val2/n01/x.JPEG.npy"}


@pytest.mark.parametrize("naming", ["code", "documentation"])
@pytest.mark.parametrize(("image_id", "written"), [("test/owl/1.jpg", "owl/1.jpg"), ("owl/1.jpg", "test/owl/1.jpg")])
def test_the_folder_may_have_another_depth(tmp_path: Path, naming: Naming, image_id: str, written: str) -> None:
    write_heatmaps(tmp_path, {written: MAP, "hawk/1.jpg": MAP}, naming)
    assert list(names_of(tmp_path, [image_id])) == [image_id]


def test_hidden_and_unfinished_files_are_no_heatmaps(tmp_path: Path) -> None:
    write_heatmaps(tmp_path, {".maps.partial/owl/1.jpg": MAP, "hawk/1.jpg": MAP})
    assert names_of(tmp_path, ["owl/1.jpg", "hawk/1.jpg"]) == {"hawk/1.jpg": "hawk/1.jpg.npy"}


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    write_heatmaps(tmp_path / "elsewhere", {"1.jpg": MAP})
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps/owl").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "maps/again").symlink_to(tmp_path / "maps")
    for image_id in ("owl/1.jpg", "1.jpg"):  # the shorter would fit again/owl/1.jpg.npy as well
        assert names_of(tmp_path / "maps", [image_id]) == {image_id: "owl/1.jpg.npy"}


@pytest.mark.parametrize("folders", [("cam", "seg"), ("train", "val")])
def test_a_folder_of_two_systems_names_both_files(tmp_path: Path, folders: tuple[str, str]) -> None:
    write_heatmaps(tmp_path, {f"{folder}/owl/1.jpg": MAP for folder in folders})
    with pytest.raises(WsolError, match=rf"{folders[0]}/owl/1\.jpg\.npy' and '{folders[1]}/owl/1\.jpg\.npy'"):
        find_heatmaps(tmp_path, ["owl/1.jpg"])


PAIR = ["a/owl.jpg", "a/owl.png"]


def test_one_file_for_two_images_is_an_error(tmp_path: Path) -> None:
    write_heatmaps(tmp_path, {PAIR[0]: MAP}, "documentation")
    with pytest.raises(
        WsolError, match=r"a/owl\.npy could belong to a/owl\.jpg or to a/owl\.png: .*a/owl\.jpg\.npy and"
    ):
        find_heatmaps(tmp_path, PAIR)
    write_heatmaps(tmp_path, {PAIR[0]: MAP})
    with pytest.raises(WsolError, match=r"a/owl\.npy could belong to a/owl\.png or to a/owl\.jpg"):
        find_heatmaps(tmp_path, PAIR)
    write_heatmaps(tmp_path, {PAIR[1]: MAP})
    assert names_of(tmp_path, PAIR) == {"a/owl.jpg": "a/owl.jpg.npy", "a/owl.png": "a/owl.png.npy"}


def test_two_images_of_one_stem_need_no_short_name(tmp_path: Path) -> None:
    write_heatmaps(tmp_path, {PAIR[0]: MAP})
    assert names_of(tmp_path, PAIR) == {"a/owl.jpg": "a/owl.jpg.npy"}


def test_a_short_name_that_is_another_images_full_name_is_not_taken_from_it(tmp_path: Path) -> None:
    ids = ["owl.jpg", "owl.jpg.png"]
    write_heatmaps(tmp_path, {"owl.jpg": MAP})
    with pytest.raises(WsolError, match=r"could belong to owl\.jpg\.png or to owl\.jpg:"):
        find_heatmaps(tmp_path, ids)
    write_heatmaps(tmp_path, {"owl.jpg.png": MAP})
    assert names_of(tmp_path, ids) == {"owl.jpg": "owl.jpg.npy", "owl.jpg.png": "owl.jpg.png.npy"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        pytest.param([], "got no file.", id="empty"),
        pytest.param([".DS_Store"], "got no file.", id="a hidden file"),
        pytest.param(["x.png"], "got no .npy file, but x.png.", id="images"),
        pytest.param(["b.npy", "a.npy", "sub/c.npy"], "got .npy files a.npy, b.npy, sub/c.npy.", id="other names"),
        pytest.param(["1.npy", "2.npy", "3.npy", "4.npy", "x.png"], "1.npy, 2.npy, 3.npy and 1 more.", id="many"),
    ],
)
def test_a_folder_of_something_else_says_what_is_there_and_what_was_expected(
    tmp_path: Path, files: list[str], words: str
) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(WsolError, match=r"expected val2/n01/x\.JPEG\.npy or val2/n01/x\.npy for the first") as raised:
        find_heatmaps(tmp_path, IDS)
    assert words in str(raised.value)


def test_no_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="maps does not exist: expected a folder of heatmaps"):
        find_heatmaps(tmp_path / "maps", IDS)
    (tmp_path / "maps").touch()
    with pytest.raises(WsolError, match="maps is a file: expected a folder"):
        find_heatmaps(tmp_path / "maps", IDS)


def test_no_images_give_no_heatmaps(tmp_path: Path) -> None:
    assert find_heatmaps(tmp_path, []) == {}


FEW = settings(max_examples=40)  # each writes files


@FEW
@given(st.sets(st.text("ab.", min_size=1, max_size=4).filter(lambda name: name[0] != "."), max_size=5), st.booleans())
def test_written_files_are_found(stems: set[str], is_code: bool) -> None:
    ids = [f"test/{stem}.jpg" for stem in sorted(stems)]
    with tempfile.TemporaryDirectory() as folder:
        write_heatmaps(Path(folder), dict.fromkeys(ids, MAP), "code" if is_code else "documentation")
        found = find_heatmaps(Path(folder), ids)
        assert list(found) == ids
        assert all(path.is_file() for path in found.values())
        assert len(set(found.values())) == len(ids)


def test_our_own_heatmaps_are_found_and_come_back_whole(tmp_path: Path) -> None:
    for image_id in IDS:
        write_heatmap(tmp_path, image_id, MAP)
    found = find_heatmaps(tmp_path, IDS)
    assert list(found) == IDS
    assert all(np.array_equal(read_heatmap(path), MAP) for path in found.values())
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(IDS)  # nothing unfinished is left


# Reading


def saved(folder: Path, array: NDArray[Any]) -> Path:
    np.save(folder / "map.npy", array)
    return folder / "map.npy"


@FEW
@given(
    arrays(
        st.sampled_from([np.float16, np.float32, np.float64]),
        array_shapes(min_dims=2, max_dims=2, max_side=6),
    )
)
def test_floats_come_back_as_they_were_saved(array: NDArray[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        heatmap = read_heatmap(saved(Path(folder), array))
    assert heatmap.dtype == (np.float64 if array.dtype == np.float64 else np.float32)
    np.testing.assert_array_equal(heatmap, array)


@pytest.mark.parametrize(
    ("dtype", "expected", "divisor"),
    [
        pytest.param("uint8", np.float32, 255, id="bytes are fractions of 255"),
        pytest.param("int8", np.float64, 1, id="int8 as it is"),
        pytest.param("uint16", np.float64, 1, id="uint16 as it is"),
        pytest.param("int32", np.float64, 1, id="int32 as it is"),
        pytest.param("int64", np.float64, 1, id="int64 as it is"),
        pytest.param(">f4", np.float32, 1, id="another machine's order of bytes"),
        pytest.param(">f8", np.float64, 1, id="the same in double precision"),
        pytest.param(">i4", np.float64, 1, id="the same in integers"),
    ],
)
def test_numbers_become_floats_of_this_machine(tmp_path: Path, dtype: str, expected: type, divisor: int) -> None:
    values = np.array([[0, 1, 100], [3, 4, 127]])
    heatmap = read_heatmap(saved(tmp_path, values.astype(dtype)))
    assert heatmap.dtype == np.dtype(expected)
    assert heatmap.dtype.isnative
    np.testing.assert_array_equal(heatmap, (values / divisor).astype(expected))


def test_the_whitest_byte_is_one_and_large_integers_stay_apart(tmp_path: Path) -> None:
    assert read_heatmap(saved(tmp_path, np.array([[0, 255]], dtype=np.uint8))).tolist() == [[0, 1]]
    assert np.diff(read_heatmap(saved(tmp_path, np.array([[2**30, 2**30 + 1]])))).item() == 1


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        pytest.param((2, 3), (2, 3), id="a map"),
        pytest.param((1, 2, 3), (2, 3), id="a channel before"),
        pytest.param((2, 3, 1), (2, 3), id="a channel after"),
        pytest.param((1, 1, 2, 3), (2, 3), id="a batch and a channel"),
        pytest.param((1, 2, 3, 1), (2, 3), id="one on each side"),
        pytest.param((1, 6), (1, 6), id="a single row stays a row"),
        pytest.param((6, 1), (6, 1), id="a single column stays a column"),
        pytest.param((1, 1, 6), (1, 6), id="a row in a channel"),
        pytest.param((1, 1), (1, 1), id="one number"),
        pytest.param((1, 1, 1, 1), (1, 1), id="one number in a batch"),
    ],
)
def test_axes_of_one_are_dropped_down_to_height_and_width(
    tmp_path: Path, shape: tuple[int, ...], expected: tuple[int, int]
) -> None:
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    heatmap = read_heatmap(saved(tmp_path, array))
    assert heatmap.shape == expected
    assert heatmap.ravel().tolist() == array.ravel().tolist()


def test_columns_first_is_only_another_way_to_store(tmp_path: Path) -> None:
    heatmap = read_heatmap(saved(tmp_path, np.asfortranarray(MAP)))
    assert heatmap.flags.c_contiguous
    assert heatmap.tolist() == MAP.tolist()


def test_values_that_are_not_finite_are_kept(tmp_path: Path) -> None:
    heatmap = read_heatmap(saved(tmp_path, np.array([[np.nan, np.inf, -np.inf, 1]])))
    np.testing.assert_array_equal(heatmap, [[np.nan, np.inf, -np.inf, 1]])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        pytest.param(np.zeros((0, 3)), "shape (0, 3): expected (height, width)", id="no rows"),
        pytest.param(np.zeros((3, 0)), "shape (3, 0)", id="no columns"),
        pytest.param(np.zeros((1, 0, 3)), "shape (0, 3)", id="empty in a channel"),
        pytest.param(np.float32(3), "shape ()", id="a number"),
        pytest.param(np.zeros(6), "shape (6,)", id="a row of numbers"),
        pytest.param(np.zeros((3, 4, 5)), "shape (3, 4, 5)", id="three channels"),
        pytest.param(np.zeros((4, 1, 5)), "shape (4, 1, 5)", id="an axis of one in the middle"),
        pytest.param(np.zeros((2, 3), dtype=bool), "holds bool: expected floats or integers. Save", id="a mask"),
        pytest.param(np.zeros((2, 3), dtype=complex), "holds complex128", id="complex numbers"),
        pytest.param(np.zeros((2, 3), dtype="U3"), "holds <U3", id="words"),
        pytest.param(np.zeros((2, 3), dtype="M8[s]"), "holds datetime64", id="dates"),
        pytest.param(np.zeros((2, 3), dtype=[("a", "f4")]), "holds [('a', '<f4')]", id="columns with names"),
    ],
)
def test_an_array_that_is_no_map_says_what_it_is(tmp_path: Path, array: NDArray[Any], words: str) -> None:
    with pytest.raises(WsolError, match=r"map\.npy.*expected.*[Ss]ave") as raised:
        read_heatmap(saved(tmp_path, array))
    assert words in str(raised.value)


def header(text: str) -> bytes:
    """The first bytes of a `.npy` of version 1.0 with `text` as the header."""
    padded = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="an image"),
        pytest.param(b"PK\x03\x04" + b"0" * 30, id="an archive"),
        pytest.param(b"0.1 0.2\n0.3 0.4\n", id="text"),
        pytest.param(header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }") + b"0" * 20, id="cut short"),
        pytest.param(header("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, 3), }"), id="a negative side"),
        pytest.param(
            header("{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999999, 3), }"), id="larger than memory"
        ),
        pytest.param(header("{'descr' (("), id="half a header"),
        pytest.param(header("  \n  x\n y"), id="a header of no words"),
        pytest.param(header("{[]: 1}"), id="a header that cannot be"),
    ],
)
def test_a_file_that_is_no_array_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "map.npy").write_bytes(content)
    with pytest.raises(WsolError, match=r"cannot read the heatmap .*map\.npy \(.+\): expected one array.*Save each"):
        read_heatmap(tmp_path / "map.npy")


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", np.array([[print, 1]], dtype=object), allow_pickle=True)
    with pytest.raises(WsolError, match="of numbers, not of objects"):
        read_heatmap(tmp_path / "map.npy")


def test_an_absent_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WsolError, match="No such file"):
        read_heatmap(tmp_path / "map.npy")
