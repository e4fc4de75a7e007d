"""The embedded world in unmodified devkits (`pytest -m navsim`): sensors, metric caching, scores.

A few scenes of one log of minitown-val, in a folder of their own, where their sensors are rendered.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest

from tests.evaluation.commands import run
from tests.real_devkits import find_real_devkits, run_in_devkit
from tests.world.two_scenes import SPLIT, write_world

pytestmark = [pytest.mark.navsim, pytest.mark.slow]
READER = Path(__file__).parent / "read_with_devkit.py"
AGENTS = {"constant_velocity": "constant_velocity_agent", "human": "human_agent"}
TOLERANCE = 1e-6


def name_folders(root: Path, devkit: Path, out: Path) -> Dict[str, str]:
    """NAVSIM's environment variables."""
    return {
        "OPENSCENE_DATA_ROOT": str(root),
        "NUPLAN_MAPS_ROOT": str(root / "maps"),
        "NAVSIM_DEVKIT_ROOT": str(devkit),
        "NAVSIM_EXP_ROOT": str(out),
    }


@pytest.mark.parametrize("size, frames", [((480, 270), "all"), ((1920, 1080), "history")])
def test_scenes_are_loaded_with_all_sensors(tmp_path: Path, size: Tuple[int, int], frames: str) -> None:
    devkits = find_real_devkits()
    tokens = write_world(tmp_path, size)
    answer = run("world", "render", "--data", str(tmp_path), "--split", SPLIT, "--frames", frames)
    assert answer.status == 0, answer.err
    for devkit in devkits:
        variables = name_folders(tmp_path, devkit, tmp_path / "exp")
        printed = run_in_devkit(devkit, [READER, tmp_path, SPLIT, "--frames", frames], variables)
        found: Dict[str, Any] = json.loads(printed.splitlines()[-1])
        num_frames = len(tokens) * (14 if frames == "all" else 4)
        assert not found["failed"] and found["scenes"] == len(tokens) and found["frames"] == num_frames
        assert found["sizes"] == {f"{size[0]}x{size[1]}": 8 * num_frames}
        assert found["points"] > 10_000 * num_frames
        assert found["near_boxes_with_points"] > 0.5 * found["near_boxes"]


def test_stock_scripts_score_as_the_embedded_scorer(tmp_path: Path) -> None:
    devkits = find_real_devkits()
    tokens = write_world(tmp_path, (480, 270))
    for number, devkit in enumerate(devkits):
        out = tmp_path / f"exp-{number}"
        one_stage = devkit / "navsim" / "planning" / "script" / "run_pdm_score_one_stage.py"
        script, metric = (one_stage, "epdms-v2.2") if one_stage.is_file() else ("run_pdm_score.py", "pdms-v1.1")
        options = [f"--config-dir={tmp_path}", f"train_test_split={SPLIT}", "worker=sequential"]
        variables = name_folders(tmp_path, devkit, out)
        run_in_devkit(devkit, [one_stage.parent / "run_metric_caching.py", *options], variables)
        for name, official in AGENTS.items():
            choice = [f"agent={official}", f"experiment_name={name}"]
            run_in_devkit(devkit, [one_stage.parent / script, *options, *choice], variables)
        agents = [part for name in AGENTS for part in ("--agent", name)]
        place = ["--data", str(tmp_path), "--split", SPLIT, "--out", str(out / "embedded")]
        answer = run("eval", "--scorer", "embedded", "--metric", metric, *place, *agents)
        assert answer.status == 0, answer.err
        ours = list(csv.DictReader((out / "embedded" / "scores.csv").open()))
        assert len(ours) == len(tokens) * len(AGENTS)
        for name in AGENTS:
            (file,) = (out / name).glob("*/*.csv")
            theirs = {row["token"]: row for row in csv.DictReader(file.open())}
            for row in (row for row in ours if row["agent"] == name):
                assert_equal(row, theirs[row["token"]])


def assert_equal(ours: Dict[str, str], theirs: Dict[str, str]) -> None:
    """All columns that both have."""
    names = (ours.keys() & theirs.keys()) - {"token", "valid"}
    assert theirs["valid"] == "True" and {"score", "no_at_fault_collisions", "ego_progress"} <= names
    for name in names:
        one, other = (float(row[name] or math.nan) for row in (ours, theirs))
        assert one == pytest.approx(other, abs=TOLERANCE, nan_ok=True), f"{name} of {ours['token']}"
