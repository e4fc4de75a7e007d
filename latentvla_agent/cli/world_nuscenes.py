"""`latentvla world nuscenes`."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Callable, Dict, Optional, Sequence

import typer

from latentvla_agent import __version__
from latentvla_agent.cli.options import Data, SplitName, Workers
from latentvla_agent.data.files import hash_file
from latentvla_agent.data.nuscenes.splits import VERSIONS
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.folders import open_folder
from latentvla_agent.evaluation.journal import Journal
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.provenance import count_cores, hash_list, hash_mapping
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.evaluation.workers import run_in_workers

if TYPE_CHECKING:
    from latentvla_agent.world.nuscenes_drives import Drive, DriveSensors, MiniatureConfig

SIDES = ("right", "left")
FRAME_TIME_LIMIT_S = 120.0
UNFINISHED = ".unfinished"  # a journal without entries: says what the folder is to hold, until it does


def nuscenes_command(
    out: Annotated[Path, typer.Option("--out", help="Folder of the database; a new one.")],
    split: SplitName = None,
    data: Data = None,
    traffic: Annotated[
        str, typer.Option("--traffic", help="Side of the road: right, or left (the mirror image).")
    ] = "right",
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Of the pictures in px.")] = "800x450",
    max_drives: Annotated[Optional[int], typer.Option("--max-drives", min=1, help="Stop after so many logs.")] = None,
    max_frames: Annotated[Optional[int], typer.Option("--max-frames", min=2, help="Of each drive.")] = None,
    sensors: Annotated[bool, typer.Option(help="Render pictures and points.")] = True,
    version: Annotated[str, typer.Option("--version", help="Name of the folder of tables.")] = VERSIONS[0],
    workers: Workers = None,
) -> None:
    """Write drives of a split as a miniature nuScenes database: the real schema, six cameras as on nuScenes' cars, a
    roof lidar, and a map expansion.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Examples:
      latentvla world nuscenes --split minitown-val --max-drives 2 --max-frames 16 --size 160x90 --out mini
      latentvla world nuscenes --split minitown-val --traffic left --out left
    """
    from latentvla_agent.world.nuscenes import write_miniature  # slow to load
    from latentvla_agent.world.nuscenes_drives import DriveSensors, MiniatureConfig
    from latentvla_agent.world.splits import parse_size

    if traffic not in SIDES:
        raise ConfigError(f"--traffic: expected one of {', '.join(SIDES)}, got {traffic!r}")
    config = MiniatureConfig(traffic == "left", parse_size(size) if sensors else None, max_frames, version)
    _check_folder(out, version)
    source = open_source(SplitRequest(data, split=split))
    logs = list(dict.fromkeys(ref.log_path for ref in source.index.refs))[:max_drives]
    factory = partial(DriveSensors, out, source.roots.maps, config)
    render = partial(_render, factory=factory, workers=workers or count_cores()) if sensors else None
    with open_folder(out):
        _claim_folder(out, {"split": source.split.name, **_identify(logs, config)})
        count = write_miniature(out, source.roots.maps, logs, config, render)
        (out / UNFINISHED).unlink()
    print(f"{count} drives of {len(logs)} logs, {traffic}-hand traffic -> {out}")


def _check_folder(out: Path, version: str) -> None:
    """Raise `DataError` for a folder with files, unless this command began and did not finish there."""
    if _has_files(out) and (not (out / UNFINISHED).exists() or (out / version).exists()):
        raise DataError(f"{out}: expected a new or empty folder (--out), or an unfinished database, got one with files")


def _claim_folder(out: Path, identity: Dict[str, Any]) -> None:
    """Note what the folder is to hold; raises `DataError` where it holds files of something else."""
    if not _has_files(out):
        (out / UNFINISHED).unlink(missing_ok=True)  # whoever began has not come far
    Journal(out / UNFINISHED, identity).close()


def _has_files(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def _identify(logs: Sequence[Path], config: MiniatureConfig) -> Dict[str, Any]:
    """What the sensor files of a database depend on, apart from its split."""
    from latentvla_agent.world.nuscenes_rig import FULL_SIZE, MOUNTS, PRINCIPAL_POINT
    from latentvla_agent.world.splits import format_size

    return {
        "logs": hash_list([f"{log.name} {hash_file(log)}" for log in logs]),
        "traffic": SIDES[config.left_hand],
        "size": config.picture_size and format_size(config.picture_size),
        "max-frames": config.max_frames,
        "version": config.version,
        "rig": hash_mapping({**MOUNTS, "full": FULL_SIZE, "point": PRINCIPAL_POINT}),
        "latentvla_agent": __version__,
    }


def _render(drives: Sequence[Drive], factory: Callable[[], DriveSensors], workers: int) -> None:
    """Write the sensor files of drives in worker processes; raises `DataError` naming the first drive that fails."""
    limit = FRAME_TIME_LIMIT_S * max(map(len, drives))
    outcomes = run_in_workers([[drive] for drive in drives], factory, workers, limit)
    with StageProgress("render", len(drives)) as progress, closing(outcomes):
        for outcome in outcomes:
            if outcome.error:
                raise DataError(f"drive {outcome.item.name} ({outcome.item.log.name}): {outcome.error}")
            progress.advance(failed=False)
