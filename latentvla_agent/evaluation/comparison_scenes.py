"""What the folder of a run knows beyond its scores: where its scenes lie, and what was planned in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneRef, index_scenes
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.journal import read_lines
from latentvla_agent.evaluation.results import SUMMARY_FILE
from latentvla_agent.evaluation.scene_source import find_cache
from latentvla_agent.evaluation.stages import Prediction, StageSetup

PREDICTIONS = "predictions.journal"
BESIDE = {"maps": "maps", "sensors": "sensor_blobs"}  # entry of `roots` -> folder beside the logs
WINDOW = ("num_history_frames", "num_future_frames", "frame_interval", "has_route")

Plans = Mapping[Tuple[str, str], Sequence[Prediction]]  # by (agent, token), one per training seed


@dataclass(frozen=True)
class Scenes:
    """Scenes by token, and what is needed to draw them."""

    setup: StageSetup
    refs: Mapping[str, SceneRef]


def open_scenes(result: Result, log_by_token: Mapping[str, str], moved: Optional[DataRoots] = None) -> Scenes:
    """Find scenes where the run of `result` had them, or where data that has `moved` is now.

    Raises `DataError` where they no longer are.
    """
    path = result.path.parent / SUMMARY_FILE
    try:
        summary = json.loads(path.read_text("utf-8"))
        described = summary["split"]
        window = {name: described["scene_filter"][name] for name in WINDOW}
        scene_filter = SceneFilter(**window, log_names=tuple(sorted(set(log_by_token.values()))))
        roots, caches = _find_roots(summary)
        logs = Path(described["log_folder"])
        if moved is not None:
            roots, logs = moved, moved.logs / logs.name
        split = Split(described["name"], logs, scene_filter, f"as in {path}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: does not say where the scenes lie ({type(error).__name__}: {error})") from error
    index = index_scenes(split, tokens=set(log_by_token), skip_bad_logs=True)
    setup = StageSetup(roots, scene_filter, caches, metric=result.metric.name)
    return Scenes(setup, {ref.token: ref for ref in index.refs})


def _find_roots(summary: Mapping[str, Any]) -> Tuple[DataRoots, Path]:
    """Data and metric caches of the run; a summary without `roots` is older: then beside its logs."""
    logs = Path(summary["split"]["log_folder"]).parent
    roots = summary.get("roots", {})
    maps, sensors = (Path(roots.get(name, logs.parent / folder)) for name, folder in BESIDE.items())
    caches = roots.get("metric_caches")
    return DataRoots(logs, maps, sensors), Path(caches) if caches else find_cache(None)


def read_plans(seeds: Mapping[str, Sequence[Result]], tokens: Collection[str]) -> Plans:
    """What the agents planned in these scenes; raises `DataError` where a journal can't be read."""
    journals: Dict[Path, Dict[Tuple[str, str], Prediction]] = {}
    plans: Dict[Tuple[str, str], List[Prediction]] = {}
    for name, group in seeds.items():
        for result in group:
            path = result.path.parent / PREDICTIONS
            if path not in journals:  # of several agents, it is read once
                journals[path] = _read_journal(path, tokens)
            for token in tokens:
                prediction = journals[path].get((result.own_name, token))
                if prediction is not None and "error" not in prediction:
                    plans.setdefault((name, token), []).append(prediction)
    return plans


def _read_journal(path: Path, tokens: Collection[str]) -> Dict[Tuple[str, str], Prediction]:
    try:
        entries = read_lines(path).entries
        kept = [(entry["token"], entry["prediction"]) for entry in entries if entry.get("token") in tokens]
        return {(prediction["agent"], token): prediction for token, prediction in kept}
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a journal of plans ({type(error).__name__}: {error})") from error
