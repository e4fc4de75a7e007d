"""The benchmark measures what it says, on both sides; no assertion about time."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.errors import ConfigError, DataError, TrajectoryError
from latentvla_agent.evaluation import devkit_process
from latentvla_agent.evaluation.benchmark import Bench, format_rows, run_benchmark
from latentvla_agent.evaluation.benchmark_inputs import choose_refs, crowd_scene, make_proposals, vary_human
from latentvla_agent.evaluation.benchmark_plot import plot_benchmark
from latentvla_agent.evaluation.devkit_process import DevkitCommand
from latentvla_agent.evaluation.devkits import find_devkits
from latentvla_agent.scoring.metric_cache import build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from tests.evaluation.commands import call

FAKE_WORKER = """
import json, sys
print(json.dumps({"generation": 1}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    print(request["work"], len(request.get("trajectories", [])), file=sys.stderr, flush=True)
    answer = {"error": "KeyError: no such scene"} if request["work"] == "FAILING" else {"ms": [1000.0]}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """The smallest benchmark."""
    roots = find_roots(environ={}, split="embedded")
    split = resolve_split("embedded", roots)
    small: Dict[str, Any] = {"batches": (1, 3), "objects": (1, 4), "num_scenes": 2, "rounds": 1}
    return Bench(roots, split, index_scenes(split), tmp_path / "out", **small)


def fake_devkit(bench: Bench, monkeypatch: pytest.MonkeyPatch, failing: str = "") -> Bench:
    """A devkit that takes a second for everything."""
    monkeypatch.setattr(devkit_process, "BOOTSTRAP", FAKE_WORKER.replace("FAILING", failing))
    return replace(bench, devkits={"pdms-v1.1": DevkitCommand(Path(sys.executable))})


def test_rows_and_files(bench: Bench) -> None:
    result = run_benchmark(bench)
    assert json.loads((bench.out / "bench.json").read_text()) == result
    assert result["machine"]["processor"] and result["machine"]["numpy"]
    expected = [("cache_scene", 1), ("load_scene", 1), ("score", 1), ("score", 3)]
    for metric in ("pdms-v1.1", "epdms-v2.2"):
        rows = [row for row in result["rows"] if row["metric"] == metric]
        assert [(row["work"], row["n"]) for row in rows] == expected
        assert all(0.0 < row["ms_median"] <= row["ms_p95"] for row in rows)
        assert all(set(row) == {"work", "metric", "n", "ms_median", "ms_p95"} for row in rows)
    assert [row["objects"] for row in result["objects"]] == [1, 4, 1, 4]
    assert [row["n"] for row in result["memory"]] == [3, 3] and result["memory"][0]["peak_mb"] > 10
    ElementTree.fromstring((bench.out / "bench.svg").read_text())


@pytest.mark.slow
def test_a_devkit_does_the_same_work(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_benchmark(fake_devkit(bench, monkeypatch))
    for row in result["rows"]:
        if row["metric"] == "pdms-v1.1":
            assert row["devkit_ms_median"] == 1000.0 and row["ratio"] == pytest.approx(1e3 / row["ms_median"], rel=0.02)
        else:
            assert "ratio" not in row
    asked = (bench.out / "devkit-pdms-v1.1.log").read_text().splitlines()
    turns = 1 + bench.num_scenes * bench.rounds
    expected = ["open_scenes 0"] + ["cache_scene 0"] * turns + ["load_scene 0"] * turns
    assert asked == expected + ["score 1"] * turns + ["score 3"] * turns
    assert "1000.000" in format_rows(result)


def test_a_devkit_that_fails_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="no such scene.*devkit-pdms-v1.1.log"):
        run_benchmark(fake_devkit(bench, monkeypatch, failing="load_scene"))
    monkeypatch.setattr(devkit_process, "BOOTSTRAP", "raise SystemExit('no navsim here')")
    with pytest.raises(DataError, match="has ended: no navsim here"):
        run_benchmark(replace(bench, devkits={"pdms-v1.1": DevkitCommand(Path(sys.executable))}))


def test_devkits_are_found_by_their_files(tmp_path: Path) -> None:
    python = Path(sys.executable)
    (tmp_path / "navsim" / "evaluate").mkdir(parents=True)
    (tmp_path / "navsim" / "evaluate" / "pdm_score.py").touch()
    commands = find_devkits(python, [tmp_path], None)
    assert commands == {"pdms-v1.1": DevkitCommand(python, tmp_path)}
    wrong: List[Any] = [
        (python, []),
        (python, [tmp_path / "empty"]),
        (python, [tmp_path, tmp_path]),
        (tmp_path / "x", [tmp_path]),
    ]
    for interpreter, roots in wrong:
        with pytest.raises(ConfigError):
            find_devkits(interpreter, roots, None)


def test_inputs(bench: Bench, tmp_path: Path) -> None:
    assert choose_refs(bench.index.refs, 2) == [bench.index.refs[0], bench.index.refs[-1]]
    assert len(choose_refs(bench.index.refs, 1000)) == len(bench.index.refs)
    maps = MapStore(bench.roots.maps)
    scene = SceneLoader(bench.index, maps).build(bench.index.refs[0])
    proposals = vary_human(scene, 5)
    assert proposals.poses.shape == (5, 8, 3) and np.array_equal(proposals.poses, vary_human(scene, 5).poses)
    cache = build_metric_cache(scene, maps.load(scene.scene_metadata.map_name))
    crowded = crowd_scene(cache, 300)
    assert crowded.tracks.poses.shape == (11, 300, 3)
    scores = Scorer().score(crowded, proposals.poses, proposals.sampling)
    assert np.isfinite(scores.score).all()
    np.save(tmp_path / "vocabulary.npy", np.zeros((3, 40, 3), dtype=np.float32))
    drawn = make_proposals(scene, 7, tmp_path / "vocabulary.npy")
    assert drawn.poses.shape == (7, 40, 3) and drawn.sampling.interval_length == pytest.approx(0.1)
    np.save(tmp_path / "wrong.npy", np.zeros((3, 40)))
    with pytest.raises(TrajectoryError):
        make_proposals(scene, 7, tmp_path / "wrong.npy")


def test_plot_of_nothing_is_well_formed() -> None:
    ElementTree.fromstring(plot_benchmark({"rows": [], "objects": []}))


def test_errors_of_the_command(tmp_path: Path) -> None:
    answer = call("bench", "--out", tmp_path, "--devkit-python", tmp_path / "python", "--devkit-root", tmp_path)
    assert "expected the interpreter of the devkit" in answer.error
