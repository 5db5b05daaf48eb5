"""A folder that several processes make: who does not see it is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wsol.errors import WsolError
from wsol.runtime.engine import Engine
from wsol.runtime.processes import Part
from wsol.storage import shared_folder as together
from wsol.storage.folders import write_manifest
from wsol.storage.shared_folder import new_shared_folder

CPU = Engine(torch.device("cpu"), False, "cpu")


def in_company(monkeypatch: pytest.MonkeyPatch, rank: int, token: str, others_see: bool) -> None:
    """This process as one of two, the other one played by the test."""
    monkeypatch.setattr(together, "part", lambda: Part(rank, 2))
    monkeypatch.setattr(together, "wait_for_all", lambda engine: None)
    monkeypatch.setattr(together, "PATIENCE_SECONDS", 0.2)

    def gathered(things: list[object], engine: Engine) -> list[object]:
        (mine,) = things
        other: object = (1 - rank, others_see) if isinstance(mine, tuple) else token if rank == 1 else mine
        return [mine, other] if rank == 0 else [other, mine]

    monkeypatch.setattr(together, "gathered", gathered)


def test_the_first_process_makes_the_folder_and_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_company(monkeypatch, rank=0, token="", others_see=True)
    with new_shared_folder(tmp_path / "out", CPU) as scratch:
        write_manifest(scratch, "stage", {}, {}, {})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]


def test_the_others_work_in_the_folder_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_company(monkeypatch, rank=1, token="abc", others_see=True)
    (tmp_path / ".out.partial").mkdir()
    (tmp_path / ".out.partial" / ".seen").write_text("abc")
    with new_shared_folder(tmp_path / "out", CPU) as scratch:
        assert scratch == tmp_path / ".out.partial"
    assert not (tmp_path / "out").exists(), "the first gives it its name"


@pytest.mark.parametrize("seen", [None, "of an earlier launch"])
def test_a_machine_that_does_not_share_the_folder_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seen: str | None
) -> None:
    in_company(monkeypatch, rank=1, token="abc", others_see=True)
    if seen is not None:
        (tmp_path / ".out.partial").mkdir()
        (tmp_path / ".out.partial" / ".seen").write_text(seen)
    with (
        pytest.raises(WsolError, match=r"processes 1 do not see .*\.out\.partial: expected a folder that all machines"),
        new_shared_folder(tmp_path / "out", CPU),
    ):
        pytest.fail("it must not come this far")


def test_the_first_ends_too_when_another_does_not_see_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_company(monkeypatch, rank=0, token="", others_see=False)
    with pytest.raises(WsolError, match="processes 1 do not see"), new_shared_folder(tmp_path / "out", CPU):
        pytest.fail("it must not come this far")
