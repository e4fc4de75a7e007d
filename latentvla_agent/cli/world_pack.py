"""`latentvla world pack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentvla_agent.data.world_archives import pack_archive
from latentvla_agent.data.worlds import find_world

BYTES_A_MEGABYTE = 1e6


def pack_command(
    split: Annotated[str, typer.Option("--split", help="A split that was made here.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, .tar.xz.")],
) -> None:
    """Pack a split, without its sensor files, into one archive, as those that come with this package.

    \b
    Example:
      latentvla world pack --split minitown-val --out minitown-val.tar.xz
    """
    root = find_world(split)
    pack_archive(root, out)
    print(f"{root} -> {out}, {out.stat().st_size / BYTES_A_MEGABYTE:.1f} MB")
