"""`latentvla world nuscenes`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from latentvla_agent.cli.options import Data, SplitName
from latentvla_agent.data.nuscenes.splits import VERSIONS
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.folders import open_folder
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source

SIDES = ("right", "left")


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
) -> None:
    """Write drives of a split as a miniature nuScenes database: the real schema, six cameras as on nuScenes' cars, a
    roof lidar, and a map expansion.

    \b
    Examples:
      latentvla world nuscenes --split minitown-val --max-drives 2 --max-frames 16 --size 160x90 --out mini
      latentvla world nuscenes --split minitown-val --traffic left --out left
    """
    from latentvla_agent.world.nuscenes import MiniatureConfig, write_miniature  # slow to load
    from latentvla_agent.world.splits import parse_size

    if traffic not in SIDES:
        raise ConfigError(f"--traffic: expected one of {', '.join(SIDES)}, got {traffic!r}")
    if out.exists() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise DataError(f"{out}: expected a new or empty folder (--out), got one with files")
    source = open_source(SplitRequest(data, split=split))
    logs = list(dict.fromkeys(ref.log_path for ref in source.index.refs))[:max_drives]
    config = MiniatureConfig(traffic == "left", parse_size(size) if sensors else None, max_frames, version)
    with open_folder(out):
        count = write_miniature(out, source.roots.maps, logs, config)
    print(f"{count} drives of {len(logs)} logs, {traffic}-hand traffic -> {out}")
