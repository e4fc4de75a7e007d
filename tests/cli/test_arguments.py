"""Mistakes in a command's arguments are one clear line, with a suggestion where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from latentvla_agent.scoring.metric_cache import VERSION as CACHE_VERSION
from tests.cli.own_folders import POSES, Command, first_token
from tests.evaluation.commands import call


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--split", "embeded"], "no split 'embeded', the known ones are: embedded, minitown-"),
        (["--split", "no.yaml"], "no.yaml: expected a YAML file of a split, got nothing"),
        (["--split", "../embedded"], "expected the name of a split"),
        (["--data", "/nowhere"], "/nowhere: expected a folder (--data), got nothing"),
        (["--maps", "/nowhere"], "/nowhere: expected a folder (--maps), got nothing"),
    ],
)
def test_unknown_arguments(command: Command, arguments: List[str], reason: str) -> None:
    assert reason in command(*arguments).error


@pytest.mark.parametrize(
    "agent, reason",
    [
        ("constant_velocty", "unknown agent 'constant_velocty', did you mean constant_velocity?"),
        ("no.yaml", "unknown agent 'no.yaml'"),
    ],
)
def test_unknown_agents(tmp_path: Path, agent: str, reason: str) -> None:
    assert reason in call("eval", "--agent", agent, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "metric, reason",
    [
        ("pdms", "unknown metric 'pdms', did you mean pdms-v1.1?"),
        ("epdms-v2", "unknown metric 'epdms-v2', did you mean epdms-v2.2?"),
        ("ADE", "unknown metric 'ADE'; there are: pdms-v1.1, epdms-v2.2, epdms-v2.2-prefix"),
    ],
)
@pytest.mark.parametrize("name", ["eval", "score"])
def test_unknown_metrics(tmp_path: Path, name: str, metric: str, reason: str) -> None:
    made = Command(name, tmp_path)
    assert reason in made("--metric", metric).error and made.left() == []


@pytest.mark.parametrize(
    "scorer, reason", [("oficial", "unknown scorer"), ("official", "no NAVSIM devkit is installed here or named")]
)
def test_scorers(tmp_path: Path, scorer: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NAVSIM_PYTHON", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    assert reason in call("eval", "--scorer", scorer, "--out", tmp_path / "out").error


def test_output_in_the_way_of_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    entries = [{"token": first_token(), "name": "a", "poses": POSES}]
    assert "file: cannot be created (File exists)" in command(
        "--cache", tmp_path / "file", entries=entries
    ).error.replace(
        f"file/metric-caches-{CACHE_VERSION}: cannot be created (Not a directory)",
        "file: cannot be created (File exists)",
    )
    if command.name != "cache":
        out = tmp_path / "file" / "out.json"
        error = (
            command("--out", out, "--agent", "stop", entries=entries).error
            if command.name == "eval"
            else (command("--out", out, entries=entries).error)
        )
        assert str(tmp_path / "file") in error and "cannot be created" in error
    assert (tmp_path / "file").read_text() == "mine"


def test_output_is_a_folder(score: Command, tmp_path: Path) -> None:
    entries = [{"token": first_token(), "name": "a", "poses": POSES}]
    assert f"{tmp_path}: expected the name of a file" in score("--out", tmp_path, entries=entries).error
