"""Codes on disk: those of the scenes that are asked for, or an error that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentvla_agent.errors import DataError
from latentvla_agent.training.action_codes import read_codes, write_codes


def test_codes_by_scene(tmp_path: Path) -> None:
    path = tmp_path / "codes.npz"
    codes = torch.arange(6).reshape(3, 2)
    write_codes(path, ["a", "b", "c"], codes)
    found = read_codes(path, ["c", "a"])
    assert found.dtype == torch.int64 and torch.equal(found, codes[[2, 0]])
    with pytest.raises(DataError, match="no codes of 1 of 2 scenes, the first d"):
        read_codes(path, ["a", "d"])


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="see latentvla train latent-actions"):
        read_codes(tmp_path / "missing.npz", [])
    np.savez(tmp_path / "other.npz", tokens=np.array(["a"]))
    with pytest.raises(DataError, match="expected codes of latent actions"):
        read_codes(tmp_path / "other.npz", [])
    np.savez(tmp_path / "short.npz", tokens=np.array(["a", "b"]), codes=np.zeros((1, 12), np.uint8))
    with pytest.raises(DataError, match="of 2 scenes"):
        read_codes(tmp_path / "short.npz", [])
    np.savez(tmp_path / "objects.npz", tokens=np.array([{}]), codes=np.array([{}]))
    with pytest.raises(DataError, match="expected codes"):
        read_codes(tmp_path / "objects.npz", [])
