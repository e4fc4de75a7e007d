"""`latentvla world make`: from a file of the user's own to a world; killed, it goes on to the same one."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from latentvla_agent.cli import world_building
from latentvla_agent.cli.world_building import open_parts
from latentvla_agent.world.split_files import read_split_file
from tests.evaluation.commands import call, start

pytest.importorskip("libsumo")

SPLIT = """
name: minitown-killed
seed: 11
scenes: 10
egos: 2
duration_s: 28
drive_s: 12
rules: {is_scored: false, per_log: 2, min_gap: 4}
"""
TIME_LIMIT_S = 300.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "killed.yaml"
    path.write_text(SPLIT)
    return path


def test_mistakes_are_one_line(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "either --split NAME or --config FILE" in call("world", "make").error
    assert "either" in call("world", "make", "--split", "minitown-val", "--config", config).error
    assert "did you mean 'minitown-val'" in call("world", "make", "--split", "minitown-vale").error
    assert "expected 1 to 10 scenes, got 11" in call("world", "make", "--config", config, "--scenes", 11).error
    assert "--size: expected WIDTHxHEIGHT" in call("world", "make", "--config", config, "--size", "big").error
    monkeypatch.setitem(sys.modules, "libsumo", None)
    error = call("world", "make", "--config", config, "--out", tmp_path / "world").error
    assert 'pip install "latentvla-agent[world]"' in error and not (tmp_path / "world").exists()


def test_pictures_stay_with_their_towns_and_their_renderer(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, picture = read_split_file(config), tmp_path / "sensor_blobs" / "picture.jpg"

    def open_with_picture() -> Path:
        picture.parent.mkdir(exist_ok=True)
        picture.touch()
        parts = open_parts(tmp_path, split)
        (parts / "0").mkdir(parents=True, exist_ok=True)
        return parts

    towns = open_with_picture()
    assert not picture.exists(), "whose it is nobody knows"
    assert open_with_picture() == towns and picture.exists()
    monkeypatch.setattr(world_building, "hash_renderer", lambda: "another")
    assert open_with_picture() == towns and not picture.exists()
    assert (towns / "0").is_dir(), "they are not made anew for other pictures"
    monkeypatch.setattr(world_building, "hash_towns_code", lambda: "another")
    assert open_with_picture() != towns and not picture.exists() and not towns.exists()


@pytest.mark.slow
def test_killed_it_goes_on_to_the_same_world(config: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for root, kills in ((whole, 0), (killed, 2)):
        for number in range(kills):
            process = start("world", "make", "--config", config, "--out", root, "--workers", 1)
            _wait_for_towns(root, number)
            time.sleep(2.0)  # in the midst of the next town
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            assert not (root / "manifest.json").exists()
        process = start("world", "make", "--config", config, "--out", root, "--workers", 1)
        assert process.communicate(timeout=TIME_LIMIT_S)[0].startswith("minitown-killed: 10 scenes")
    manifests = [json.loads((root / "manifest.json").read_text()) for root in (whole, killed)]
    assert manifests[0] == manifests[1] and manifests[0]["towns"] >= 2
    assert [path.name for path in killed.glob(".towns-*/.*")] == []


def _wait_for_towns(root: Path, count: int) -> None:
    """Until that many towns are done and the next one is begun."""
    end = time.monotonic() + TIME_LIMIT_S
    while len(list(root.glob(".towns-*/*/windows.json"))) < count or not list(root.glob(".towns-*/.minitown-*")):
        assert time.monotonic() < end, "no town was built"
        time.sleep(0.1)
