"""`latentvla show`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, List, Optional

import typer

from latentvla_agent.cli.options import TIME_LIMIT_S, Data, Maps, TimeLimit, Workers
from latentvla_agent.data.roots import DataRoots, find_roots
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.comparison_scenes import open_scenes
from latentvla_agent.evaluation.folders import make_folder
from latentvla_agent.evaluation.provenance import count_cores, hash_mapping
from latentvla_agent.scoring.warm_up import compile_kernels
from latentvla_agent.viewer.rerun_log import find_rerun, pick_scene, write_rerun
from latentvla_agent.viewer.shown_runs import ShownRuns, collect_plans, read_runs
from latentvla_agent.viewer.site import SceneMaterial, SiteConfig, check_folder, write_site
from latentvla_agent.viewer.tags import Tags, find_split_tags, read_tags


def show_command(
    run: Annotated[List[Path], typer.Option("--run", help="Output folder of `latentvla eval`; repeat it.")],
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder of the site; default: runs/show-<hash>.")] = None,
    data: Data = None,
    maps: Maps = None,
    tags: Annotated[
        Optional[Path], typer.Option("--tags", help="CSV with columns token and tags, beside those of the split.")
    ] = None,
    photos: Annotated[
        bool, typer.Option(help="With the front camera's pictures, as far as they are on the disk.")
    ] = True,
    rerun: Annotated[
        Optional[List[str]],
        typer.Option(
            "--rerun", help="Scene by token, or worst: write its 3-D log (.rrd) instead of a site; repeat it."
        ),
    ] = None,
    workers: Workers = None,
    time_limit: TimeLimit = TIME_LIMIT_S,
) -> None:
    """Make a site to look at evaluations scene by scene; open its index.html in a browser, no server is needed.

    Scenes are read where the run had them; --data and --maps say where they are now, if elsewhere. Proposals and latent
    actions are shown of runs with --keep-details.

    \b
    Examples:
      latentvla show --run runs/first
      latentvla show --run runs/ipad --run runs/latentvla --out site
      latentvla show --run runs/ipad --rerun worst
    """
    if rerun:
        find_rerun()
    runs = read_runs(run)
    moved = find_roots(data, maps) if data is not None or maps is not None else None
    if rerun:
        tokens = [pick_scene(runs, name) for name in rerun]
        folder = make_folder(out or Path("runs") / f"rerun-{_hash(runs)}")
        scenes, plans = open_scenes(runs.first, runs.logs, moved), collect_plans(runs)
        for token in dict.fromkeys(tokens):
            print(f"-> {write_rerun(runs, scenes, plans, token, folder)}")
        return
    folder = out or Path("runs") / f"show-{_hash(runs)}"
    check_folder(folder)
    material = collect_material(runs, moved, [read_tags(tags)] if tags is not None else [])
    if material.scenes is not None:
        compile_kernels()
    page = write_site(runs, material, SiteConfig(folder, photos, workers or count_cores(), time_limit))
    print(f"{len(runs.logs)} scenes, agents {', '.join(runs.agents)}")
    for note in material.notes:
        print(f"note: {note}")
    print(f"-> {page}")


def collect_material(runs: ShownRuns, moved: Optional[DataRoots], own_tags: List[Tags]) -> SceneMaterial:
    """Scenes, plans and tags; where data or plans are gone, a note in their place: scores are shown all the same.

    Raises `DataError` where the user said where the data is, and it is not there.
    """
    try:
        scenes = open_scenes(runs.first, runs.logs, moved)
    except DataError as error:
        if moved is not None:
            raise
        return SceneMaterial(None, {}, own_tags, [f"no scene is drawn: {error}"])
    folders = {ref.log_path.parent for ref in scenes.refs.values()}
    tags = [*own_tags, *map(find_split_tags, sorted(folders))]
    try:
        return SceneMaterial(scenes, collect_plans(runs), tags)
    except DataError as error:
        return SceneMaterial(scenes, {}, tags, [f"no plan is drawn: {error}"])


def _hash(runs: ShownRuns) -> str:
    return hash_mapping({name: result.sha256 for name, result in runs.agents.items()})[:8]
