"""A run in two embedded scenes, with plans, as `latentvla compare` draws it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, NamedTuple, Tuple

import numpy as np

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneIndex, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.evaluation.comparison import choose_agents, compare, find_logs
from latentvla_agent.evaluation.comparison_pictures import ExamplePictures, paint_examples
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import write_plans, write_run

AGENTS = ("fast", "slow-seed0", "slow-seed1")


class Runs(NamedTuple):
    """The folder of a run in two embedded scenes, and these scenes."""

    folder: Path
    index: SceneIndex
    sensors: Path


def make_runs(folder: Path, metric_caches: Path) -> Runs:
    """`fast` is ahead of `slow`, of which there are two seeds, in the first scene and behind in the second."""
    roots = find_roots(environ={}, split="embedded")
    index = index_scenes(resolve_split("embedded", roots, max_scenes=2))
    tokens = [ref.token for ref in index.refs]
    scores = {name: dict(zip(tokens, values)) for name, values in zip(AGENTS, ((0.9, 0.2), (0.1, 0.5), (0.2, 0.6)))}
    window = {"num_history_frames": 4, "num_future_frames": 10, "frame_interval": 1, "has_route": True}
    run = write_run(
        folder / "run",
        scores,
        logs={ref.token: ref.log_name for ref in index.refs},
        split={"name": "embedded", "log_folder": str(roots.logs / "embedded"), "scene_filter": window, "source": "x"},
        roots={"maps": str(roots.maps), "sensors": str(folder / "sensors"), "metric_caches": str(metric_caches)},
    )
    write_plans(run, [(token, make_prediction(name)) for token in tokens for name in AGENTS])
    return Runs(run, index, folder / "sensors")


def make_prediction(agent: str) -> Dict[str, Any]:
    """Ahead."""
    poses = np.zeros((8, 3))
    poses[:, 0] = (3.0 if agent == "fast" else 1.0) * np.arange(1, 9)
    return {"agent": agent, "poses": poses.tolist(), "interval": 0.5}


def paint(*paths: Path) -> Tuple[Dict[str, Any], ExamplePictures]:
    """What `latentvla compare` makes of these results: its content, and the pictures."""
    groups = choose_agents([result for path in paths for result in read_results(str(path))])
    comparison = compare(groups, find_logs(groups))
    return comparison, paint_examples(comparison["largest_differences"], groups, list(groups))
