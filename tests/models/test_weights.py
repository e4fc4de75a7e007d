"""Weights are found, verified and loaded strictly; nothing in a foreign file is executed."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from safetensors.torch import load_file

from latentvla_agent.errors import CheckpointError
from latentvla_agent.models import checkpoint_files
from latentvla_agent.models.checkpoint_files import MANIFEST, WEIGHTS, checkpoints_folder, find_checkpoint
from latentvla_agent.models.ego_status_mlp import EgoStatusMLP
from latentvla_agent.models.weights import LIGHTNING_PREFIX, load_weights, write_weights


def make_model(hidden_size: int = 4) -> EgoStatusMLP:
    """A small one."""
    return EgoStatusMLP(hidden_size=hidden_size, num_hidden_layers=1)


def test_written_and_loaded(tmp_path: Path) -> None:
    first, second = make_model(), make_model()
    write_weights(first, tmp_path / "a" / "w.safetensors")
    load_weights(second, str(tmp_path / "a" / "w.safetensors"))
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_what_is_new_stays_as_it_is(tmp_path: Path) -> None:
    first, second = make_model(), torch.nn.Sequential()
    second.add_module("old", make_model())
    second.add_module("fusion", torch.nn.Linear(2, 2))
    before = second.fusion.weight.clone()
    old = torch.nn.Sequential()
    old.add_module("old", first)
    write_weights(old, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match="no fusion"):
        load_weights(second, str(tmp_path / "w.safetensors"))
    load_weights(second, str(tmp_path / "w.safetensors"), new="fusion.")
    assert torch.equal(second.fusion.weight, before)
    assert all(torch.equal(tensor, second.old.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_every_shipped_checkpoint_is_the_published_one() -> None:
    names = json.loads((checkpoints_folder() / MANIFEST).read_text())
    assert "ego_status_mlp" in names
    for name in names:
        folder = find_checkpoint(name).parent
        assert (folder / "README.md").is_file() and (folder / "config.json").is_file()
        assert load_file(folder / WEIGHTS)


def test_a_changed_checkpoint_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_files, "checkpoints_folder", lambda: tmp_path)
    (tmp_path / MANIFEST).write_text(json.dumps({"mine": "0" * 64, "gone": "0" * 64}))
    write_weights(make_model(), tmp_path / "mine" / WEIGHTS)
    for name, message in (
        ("mine", "expected the sha256 0000"),
        ("gone", "got no file"),
        ("other", "there are: gone, m"),
    ):
        with pytest.raises(CheckpointError, match=message):
            find_checkpoint(name)


def save_lightning(path: Path, state: Dict[str, Any]) -> str:
    """A file as of run_training.py."""
    torch.save({"epoch": 1, "state_dict": state, "callbacks": {"a": {"best": 0.5}}}, path)
    return str(path)


def test_checkpoints_of_navsim_training(tmp_path: Path) -> None:
    first, second = make_model(), make_model()
    state = {LIGHTNING_PREFIX + name: tensor for name, tensor in first.state_dict().items()}
    load_weights(second, save_lightning(tmp_path / "last.ckpt", state))
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
    with pytest.raises(CheckpointError, match="got agent._mlp.weight"):
        load_weights(second, save_lightning(tmp_path / "theirs.ckpt", {"agent._mlp.weight": torch.zeros(1)}))


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "w.safetensors")
    write_weights(make_model(), Path(path))
    with pytest.raises(CheckpointError, match=r"layers.0.weight of shape \(4, 8\), not \(5, 8\)"):
        load_weights(make_model(5), path)
    with pytest.raises(CheckpointError, match="no layers.4.weight"):
        load_weights(EgoStatusMLP(hidden_size=4, num_hidden_layers=2), path)


class Exploit:
    """Would run a command, if anybody let it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def test_hostile_and_broken_files(tmp_path: Path) -> None:
    files = {
        "hostile.ckpt": pickle.dumps({"state_dict": Exploit(tmp_path / "executed")}),
        "empty.ckpt": b"",
        "noise.ckpt": b"\x80\x04noise",
        "noise.safetensors": b"noise",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=name):
            load_weights(make_model(), str(tmp_path / name))
    torch.save({"state_dict": {"a": Exploit(tmp_path / "executed")}}, tmp_path / "zip.ckpt")
    with pytest.raises(CheckpointError, match="zip.ckpt"):
        load_weights(make_model(), str(tmp_path / "zip.ckpt"))
    with pytest.raises(CheckpointError, match="nothing.ckpt"):
        load_weights(make_model(), str(tmp_path / "nothing.ckpt"))
    assert not (tmp_path / "executed").exists()
