"""`latentvla doctor`."""

from __future__ import annotations

import typer

from latentvla_agent.cli.options import EXIT_INCOMPLETE, Cache, Data, Maps, SplitName, SyntheticScenes
from latentvla_agent.evaluation.doctor import Patient, examine, is_healthy
from latentvla_agent.evaluation.scene_source import find_cache


def doctor_command(
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    cache: Cache = None,
    synthetic_scenes: SyntheticScenes = None,
) -> None:
    """Check numerics, devkit, data roots, maps, and whether a split, its logs and metric caches belong together.

    One line per check: ok, warning, or fault with the mend. Exit status 1 only where there is a fault.

    \b
    Examples:
      latentvla doctor
      latentvla doctor --data /data/openscene --split navtest --cache /fast/disk
    """
    findings = []
    for finding in examine(Patient(data, maps, split, find_cache(cache), synthetic_scenes)):
        print(finding, flush=True)
        findings.append(finding)
    if not is_healthy(findings):
        raise typer.Exit(EXIT_INCOMPLETE)
