"""The log of a scene in three dimensions for the viewer of Rerun (extra `[rerun]`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Tuple

from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader
from latentvla_agent.errors import ConfigError, DataError, suggest
from latentvla_agent.evaluation.comparison_scenes import Scenes
from latentvla_agent.evaluation.stages import CacheHandler, Prediction
from latentvla_agent.viewer.painting import NUM_HUMAN_POSES
from latentvla_agent.viewer.rerun_scene import COLORS, HUMAN_COLOR, SceneLog
from latentvla_agent.viewer.shown_runs import ShownRuns

WORST = "worst"


def find_rerun() -> Any:
    """The module `rerun`; raises `ConfigError` naming the extra where it is missing."""
    try:
        import rerun
    except ImportError as error:
        raise ConfigError('--rerun needs rerun-sdk: pip install "latentvla-agent[rerun]"') from error
    if not hasattr(rerun, "RecordingStream"):
        raise ConfigError(f"--rerun: expected the module of rerun-sdk, got another one at {rerun.__file__}")
    return rerun


def pick_scene(runs: ShownRuns, name: str) -> str:
    """The token that is named, or of `worst`: the lowest score of the first agent; raises `ConfigError` for another."""
    if name == WORST:
        return min(runs.first.rows, key=lambda row: (row.score, row.token)).token
    if name not in runs.logs:
        raise ConfigError(f"--rerun {name}: expected the token of a scene, or {WORST}{suggest(name, runs.logs)}")
    return name


def write_rerun(
    runs: ShownRuns, scenes: Scenes, plans: Mapping[Tuple[str, str], Prediction], token: str, folder: Path
) -> Path:
    """Write `<token>.rrd` and return its path; sensor files that are not on the disk are left out."""
    if token not in scenes.refs:
        raise DataError(f"scene {token}: expected it in the logs of the run, got no such scene there")
    ref = scenes.refs[token]
    scene = SceneLoader(SceneIndex((), scenes.setup.scene_filter)).build(ref)
    cache = CacheHandler(scenes.setup).load_cache(ref)
    if "/" in token or "\\" in token:
        raise DataError(f"scene {token}: expected a token that can be the name of a file")
    path = folder / f"{token}.rrd"
    rerun = find_rerun()
    stream = rerun.RecordingStream("latentvla_agent", recording_id=token)
    stream.save(str(path))
    log = SceneLog(rerun, stream, scene, cache)
    log.write_map()
    log.write_boxes()
    log.write_line("human", scene.get_future_trajectory(NUM_HUMAN_POSES).poses, HUMAN_COLOR)
    for number, name in enumerate(runs.agents):
        plan = plans.get((name, token))
        if plan is not None and "error" not in plan:
            log.write_plan(name, plan, COLORS[number % len(COLORS)])
    log.write_sensors(scenes.setup.roots.sensors / ref.log_path.parent.name)
    stream.flush()
    return path
