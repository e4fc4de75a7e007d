"""`latentvla world render` and `latentvla world show`."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, List, Optional, Tuple

import typer

from latentvla_agent.cli.options import EXIT_INCOMPLETE, Data, MaxScenes, SplitName, Workers
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.data.sensors import SENSOR_NAMES
from latentvla_agent.data.world_manifests import MANIFEST_FILE
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.chunks import chunk_refs
from latentvla_agent.evaluation.folders import prepare_file
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.scene_source import SceneSource, SplitRequest, open_source
from latentvla_agent.evaluation.workers import run_in_workers

if TYPE_CHECKING:
    from latentvla_agent.world.rendering.cache import SensorRenderer

SCENE_TIME_LIMIT_S = 600.0
FRAME_CHOICES = ("current", "history", "all", "window")


def render_command(
    split: SplitName = None,
    data: Data = None,
    sensor: Annotated[
        Optional[List[str]],
        typer.Option("--sensor", help=f"One of {', '.join(SENSOR_NAMES)}; repeat it. Default: all."),
    ] = None,
    frames: Annotated[
        str, typer.Option("--frames", help=f"Of each scene: {', '.join(FRAME_CHOICES)} (what latent actions look at).")
    ] = "history",
    max_scenes: MaxScenes = None,
    workers: Workers = None,
) -> None:
    """Render sensor files of a split ahead of time, for readers that expect them on disk, such as NAVSIM's devkit.

    What is there is kept. Without this command our own readers render what they need on first use.

    \b
    Example:
      latentvla world render --split minitown-val --sensor cam_f0 --sensor cam_l0 --sensor cam_r0 --frames current
    """
    names = _check_names(sensor)
    if frames not in FRAME_CHOICES:
        raise ConfigError(f"--frames: expected one of {', '.join(FRAME_CHOICES)}, got {frames!r}")
    source = open_source(SplitRequest(data, split=split, max_scenes=max_scenes))
    refs, count = source.index.refs, workers or count_cores()
    factory = partial(SceneRenderer, source.roots, names, _list_frames(source, frames))
    failures: List[str] = []
    with StageProgress("render", len(refs), 0) as progress:
        for outcome in run_in_workers(chunk_refs(refs, count), factory, count, SCENE_TIME_LIMIT_S):
            failures += [f"{outcome.item.token}: {outcome.error}"] if outcome.error else []
            progress.advance(failed=bool(outcome.error))
    print(f"{len(refs) - len(failures)} of {len(refs)} scenes in {source.roots.sensors}")
    for failure in failures:
        print(f"latentvla: failed: {failure}", file=sys.stderr)
    if failures:
        raise typer.Exit(EXIT_INCOMPLETE)


def show_command(
    split: SplitName = None,
    data: Data = None,
    token: Annotated[Optional[str], typer.Option("--token", help="Scene; default: the first of the split.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Picture to write, .png or .jpg.")] = Path("scene.png"),
    boxes: Annotated[bool, typer.Option(help="Draw boxes, and the human's way from above.")] = True,
) -> None:
    """Draw a sheet of one scene: eight cameras with projected boxes, the scene and its lidar cloud from above.

    \b
    Example:
      latentvla world show --split minitown-val --out scene.png
    """
    from latentvla_agent.world.rendering.sheets import make_sheet, save_sheet

    source = open_source(SplitRequest(data, split=split), tokens=None if token is None else [token])
    if not source.index.refs:
        raise DataError(f"split {source.split.name}: expected a scene {token}, got none of that token")
    prepare_file(out)
    ref = source.index.refs[0]
    sheet = make_sheet(source.roots, ref.log_path, ref.token, overlays=boxes)
    save_sheet(out, sheet)
    print(f"scene {ref.token} of {ref.log_name} -> {out}")


class SceneRenderer:
    """Renders the sensors of scenes, of these frames from the start of each; one instance per worker process."""

    def __init__(self, roots: DataRoots, names: Tuple[str, ...], frames: Tuple[int, ...]):
        self._source = _open_renderer(roots)
        self._roots, self._names, self._frames = roots, names, frames

    def __call__(self, ref: SceneRef) -> bool:
        """Make sure that the files are there."""
        from latentvla_agent.world.rendering.cache import ensure_sensors

        frames = self._source.open_log(ref.log_path).frames
        tokens = [str(frames[ref.start + number]["token"]) for number in self._frames]
        ensure_sensors(self._roots, ref.log_path, tokens, self._names, renderer=self._source)
        return True


def find_sensor_source(roots: DataRoots) -> Optional[SensorRenderer]:
    """What renders sensor files on first use, where the data is a world that was made here."""
    return _open_renderer(roots) if (roots.logs.parent / MANIFEST_FILE).is_file() else None


def _open_renderer(roots: DataRoots) -> SensorRenderer:
    from latentvla_agent.world.rendering.cache import SensorRenderer  # slow to load, and rarely asked for

    return SensorRenderer(roots.maps)


def _list_frames(source: SceneSource, frames: str) -> Tuple[int, ...]:
    """Numbers of frames, from the start of a scene."""
    scene_filter = source.index.scene_filter
    current = scene_filter.num_history_frames - 1
    if frames == "window":
        from latentvla_agent.features.windows import WindowConfig  # loads torch, which the others need not

        return tuple(current + offset for offset in WindowConfig.frames)
    first = current if frames == "current" else 0
    end = scene_filter.num_frames if frames == "all" else current + 1
    return tuple(range(first, end))


def _check_names(names: Optional[List[str]]) -> Tuple[str, ...]:
    for name in names or ():
        if name not in SENSOR_NAMES:
            raise ConfigError(f"--sensor: expected one of {', '.join(SENSOR_NAMES)}, got {name!r}")
    return tuple(names or SENSOR_NAMES)
