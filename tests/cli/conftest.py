"""Commands that leave nothing half-written, whatever the user's environment names."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from tests.cli.own_folders import Command


@pytest.fixture(autouse=True)
def no_data_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(params=["eval", "score", "cache"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Command]:
    """Each command; after the test, nothing half-written may be left."""
    yield from _open_command(request.param, tmp_path)


@pytest.fixture
def score(tmp_path: Path) -> Iterator[Command]:
    """The command `score`, likewise."""
    yield from _open_command("score", tmp_path)


def _open_command(name: str, folder: Path) -> Iterator[Command]:
    made = Command(name, folder / "command")
    made.folder.mkdir()
    yield made
    assert made.left() == []
