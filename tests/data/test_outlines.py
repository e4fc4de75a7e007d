"""Kept outlines of logs: a log that has not changed is not read again, and the index is the same."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from latentvla_agent.data import outlines as outlines_module
from latentvla_agent.data.outlines import OutlineStore
from latentvla_agent.data.scene_loader import index_scenes
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.errors import DataError
from tests.data.log_factory import make_log


@pytest.fixture
def split(tmp_path: Path) -> Split:
    for name in ("a", "b"):
        make_log(tmp_path / "logs" / f"{name}.pkl", 16, tokens=[f"{name}{i:015x}" for i in range(16)])
    return Split("logs", tmp_path / "logs", SceneFilter(frame_interval=1), "folder of logs")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    names: List[str] = []

    def read(path: Path) -> List[outlines_module.LogFrame]:
        names.append(path.name)
        return original(path)

    original = outlines_module.read_log
    monkeypatch.setattr(outlines_module, "read_log", read)
    return names


def keep(split: Split, folder: Path) -> None:
    store = OutlineStore(folder)
    index_scenes(split, outlines=store)
    store.save()


def test_the_index_is_the_same_with_and_without(split: Split, tmp_path: Path) -> None:
    keep(split, tmp_path / "kept")
    assert index_scenes(split, outlines=OutlineStore(tmp_path / "kept")) == index_scenes(split)


def test_an_unchanged_log_is_not_read_again(split: Split, tmp_path: Path, reads: List[str]) -> None:
    keep(split, tmp_path / "kept")
    keep(split, tmp_path / "kept")
    assert reads == ["a.pkl", "b.pkl"]


def test_a_changed_log_is_read_again(split: Split, tmp_path: Path, reads: List[str]) -> None:
    keep(split, tmp_path / "kept")
    make_log(split.log_folder / "b.pkl", 18, tokens=[f"c{i:015x}" for i in range(18)])
    keep(split, tmp_path / "kept")
    assert reads == ["a.pkl", "b.pkl", "b.pkl"]


def test_a_broken_outline_is_made_again(split: Split, tmp_path: Path, reads: List[str]) -> None:
    keep(split, tmp_path / "kept")
    for path in (tmp_path / "kept").iterdir():
        path.write_text("{")
    keep(split, tmp_path / "kept")
    assert reads == ["a.pkl", "b.pkl"] * 2


def test_nothing_is_written_when_a_log_is_bad(split: Split, tmp_path: Path) -> None:
    (split.log_folder / "b.pkl").write_bytes(b"no pickle")
    with pytest.raises(DataError, match="b.pkl"):
        keep(split, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()
