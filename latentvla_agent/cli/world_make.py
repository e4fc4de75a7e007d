"""`latentvla world make`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from latentvla_agent.cli.options import Workers
from latentvla_agent.evaluation.provenance import count_cores


def make_command(
    split: Annotated[
        str, typer.Option("--split", help="minitown-train, -unlabelled, -dev, -longtail-dev, -val, -longtail.")
    ],
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

    \b
    Examples:
      latentvla world make --split minitown-train --scenes 200 && latentvla eval --split minitown-train-200
      latentvla world make --split minitown-longtail && latentvla eval --split minitown-longtail
      latentvla world make --split minitown-val --scenes 10 --size 1920x1080 --out big
    """
    from latentvla_agent.cli.world_building import make_world  # no other command need wait for the world to load

    make_world(split, scenes, workers or count_cores(), out, size)
