"""The state of a training: counted, saved, restored."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from wsol.errors import WsolError
from wsol.training.state import Checkpoint, Tally, Trained


def trained_a_little(seed: int, optimizer_name: str = "sgd") -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
    network[0].bias.requires_grad_(False)  # the optimizer has no state of it
    optimizer: torch.optim.Optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    if optimizer_name == "adam":
        optimizer = torch.optim.Adam(network.parameters(), lr=0.1)
    for _ in range(2):
        network(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
    return network, optimizer


MINE = {"settings": {"cam": {"lr_new": 0.02}}, "inputs": {}}
REPORT = Trained(
    step=7,
    is_bf16=False,
    epochs=[Tally(4, 6.5, 64, 2.5, 0.5)],
    current=Tally(3, 0.1 + 0.2, 48, 2.0, 0.0),
    broken={"4": "empty"},
)


@pytest.mark.parametrize(
    ("name", "tensors"), [("sgd", {"momentum_buffer"}), ("adam", {"step", "exp_avg", "exp_avg_sq"})]
)
def test_weights_statistics_optimizer_and_report_are_restored_bit_by_bit(
    tmp_path: Path, name: str, tensors: set[str]
) -> None:
    network, optimizer = trained_a_little(0, name)
    kept = copy.deepcopy(network.state_dict())
    states = copy.deepcopy(optimizer.state_dict()["state"])
    assert len(states) == 3 and all(state.keys() == tensors for state in states.values())
    Checkpoint(tmp_path / "c.safetensors", MINE).save(network, optimizer, REPORT)
    other, others = trained_a_little(1, name)
    assert Checkpoint(tmp_path / "c.safetensors", MINE).restore(other, others) == REPORT
    assert all(torch.equal(value, kept[name]) for name, value in other.state_dict().items())
    restored = others.state_dict()["state"]
    assert restored.keys() == states.keys()
    for number, state in states.items():
        assert all(torch.equal(restored[number][key], value) for key, value in state.items())


@pytest.mark.parametrize("spoiled", ["absent", "cut short", "empty"])
def test_a_damaged_checkpoint_is_ignored(tmp_path: Path, spoiled: str) -> None:
    path = tmp_path / "c.safetensors"
    Checkpoint(path, MINE).save(*trained_a_little(0), REPORT)
    if spoiled == "absent":
        path.unlink()
    elif spoiled == "cut short":
        path.write_bytes(path.read_bytes()[:-7])
    elif spoiled == "empty":
        path.write_bytes(b"")
    network, optimizer = trained_a_little(1)
    before = copy.deepcopy(network.state_dict())
    assert Checkpoint(path, MINE).restore(network, optimizer) == Trained()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_steps_and_epochs_are_counted() -> None:
    report = Trained()
    report.add([1.0, 2.0], images=8, seconds=4.0, waiting_seconds=1.0)
    report.add([6.0], images=4, seconds=2.0, waiting_seconds=0.5)
    report.end_epoch()
    report.add([5.0], images=4, seconds=1.0, waiting_seconds=0.0)
    assert report.step == 4 and report.current.steps == 1
    assert report.epochs[0].figures() == {"loss": 3.0, "images_per_second": 2.0, "waiting_share": 0.25}
    assert report.figures() == {"losses": [3.0], "steps": 4, "images": 12, "seconds": 6.0, "waiting_seconds": 1.5}


def test_figures_exist_before_the_first_step() -> None:
    assert Tally().figures() == {"loss": 0.0, "images_per_second": 0.0, "waiting_share": 0.0}
    assert Trained().figures()["losses"] == []


def test_a_checkpoint_of_other_settings_is_refused_with_the_difference(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "c.safetensors", MINE).save(*trained_a_little(0), REPORT)
    other = {"settings": {"cam": {"lr_new": 0.01}}, "inputs": {}}
    with pytest.raises(WsolError, match=r"settings\.cam\.lr_new: 0\.02 there, 0\.01 now"):
        Checkpoint(tmp_path / "c.safetensors", other).restore(*trained_a_little(1))
