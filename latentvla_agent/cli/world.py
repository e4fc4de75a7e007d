"""`latentvla world`: the commands of the embedded driving world."""

from __future__ import annotations

import typer

from latentvla_agent.cli.options import report_errors
from latentvla_agent.cli.world_make import make_command
from latentvla_agent.cli.world_nuscenes import nuscenes_command
from latentvla_agent.cli.world_pack import pack_command
from latentvla_agent.cli.world_sensors import render_command, show_command

world_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="The embedded driving world: make its splits, render, show and pack them, or write them as nuScenes.",
)
for name, command in (
    ("make", make_command),
    ("render", render_command),
    ("show", show_command),
    ("pack", pack_command),
    ("nuscenes", nuscenes_command),
):
    world_app.command(name)(report_errors(command))
