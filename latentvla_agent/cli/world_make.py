"""`latentvla world make`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Optional

import typer

from latentvla_agent.cli.options import Workers
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.provenance import count_cores


def make_command(
    split: Annotated[
        Optional[str],
        typer.Option("--split", help="minitown-train, -unlabelled, -dev, -longtail-dev, -val, -longtail."),
    ] = None,
    config: Annotated[Optional[Path], typer.Option("--config", help="A split of your own: a YAML file.")] = None,
    scenes: Annotated[
        Optional[int], typer.Option("--scenes", min=1, help="Fewer: a split of its own name, NAME-SCENES.")
    ] = None,
    size: Annotated[
        Optional[str], typer.Option("--size", metavar="WxH", help="Of the pictures in px; default: 480x270.")
    ] = None,
    workers: Workers = None,
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder; default: the user's cache folder.")] = None,
) -> None:
    """Make a split: towns, traffic, rare events, logs and maps in NAVSIM's format. Pictures are rendered on use.

    Killed or interrupted, the same command goes on where it stopped. The result depends on the split's seed alone, and
    is compared with the published manifest where one comes with the package.

    A file for --config has a name, a seed, a number of scenes, and whatever else is to differ from a published split:
    shares of events and weather, rules, an OpenDRIVE map; docs/world.md lists the entries.

    \b
    Examples:
      latentvla world make --split minitown-train --scenes 200 && latentvla eval --split minitown-train-200
      latentvla world make --split minitown-longtail && latentvla eval --split minitown-longtail
      latentvla world make --split minitown-val --scenes 10 --size 1920x1080 --out big
    """
    from latentvla_agent.cli.world_building import make_world  # no other command need wait for the world to load
    from latentvla_agent.world.split_files import read_split_file
    from latentvla_agent.world.splits import find_split_config, parse_size

    if (split is None) == (config is None):
        raise ConfigError("expected either --split NAME or --config FILE")
    chosen = find_split_config(split) if split is not None else read_split_file(Path(str(config)))
    if size is not None:
        chosen = replace(chosen, picture_size=parse_size(size))
    make_world(chosen, scenes, workers or count_cores(), out)
