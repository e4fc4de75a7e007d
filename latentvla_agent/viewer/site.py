"""Writes a site: the page, its data, and a file per scene, drawn by worker processes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.chunks import chunk_refs
from latentvla_agent.evaluation.comparison_scenes import Scenes
from latentvla_agent.evaluation.folders import make_folder, write_output
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.report_template import STYLE
from latentvla_agent.evaluation.stages import Prediction
from latentvla_agent.evaluation.workers import Outcome, run_in_workers
from latentvla_agent.viewer.painting import Painted, PaintHandler, PaintItem
from latentvla_agent.viewer.shown_runs import ShownRuns
from latentvla_agent.viewer.site_data import agent_path, describe_site, pack_agent, scene_path, write_script
from latentvla_agent.viewer.tags import Tags, merge_tags

PAGE_FOLDER = Path(__file__).resolve().parent / "page"
ENTRY, INDEX, STYLE_SHEET = "index.html", "site.js", "page.css"
MAX_NOTES = 5  # of one kind

Plans = Mapping[Tuple[str, str], Prediction]  # by agent and token


@dataclass(frozen=True)
class SiteConfig:
    """Where a site goes, and how it is made."""

    out: Path
    with_photos: bool = True
    workers: int = 1
    time_limit: float = 120.0  # seconds for a scene


@dataclass(frozen=True)
class SceneMaterial:
    """Scenes to draw, or None, and in `notes` why; plans; and the tags of the split and of the user."""

    scenes: Optional[Scenes]
    plans: Plans
    tags: Sequence[Tags] = ()
    notes: Sequence[str] = ()


def write_site(runs: ShownRuns, material: SceneMaterial, config: SiteConfig) -> Path:
    """Make the site, over an earlier one if that is what lies there; returns the page to open.

    Raises `DataError` where the folder holds something else, or can't be written.
    """
    check_folder(config.out)
    write_page(config.out)
    drawn, notes = paint_scenes(runs, material, config)
    tags = merge_tags([*material.tags, drawn], list(runs.logs))
    for number, result in enumerate(runs.agents.values()):
        content = write_script("agent", str(number), pack_agent(result, list(runs.logs)))
        write_output(config.out / agent_path(number), content)
    losses = [note for result in runs.agents.values() for note in result.notes]
    site = describe_site(
        runs, tags, list(dict.fromkeys([*losses, *material.notes, *notes])), material.scenes is not None
    )
    write_output(config.out / INDEX, write_script("site", "", site))
    return config.out / ENTRY


def check_folder(folder: Path) -> None:
    """Create the folder; raises `DataError` for one that holds anything but a site."""
    make_folder(folder)
    if any(folder.iterdir()) and not (folder / STYLE_SHEET).is_file():
        raise DataError(f"{folder}: expected an empty folder or a site of latentvla show, got one with other files")


def write_page(folder: Path) -> None:
    """The page, its scripts, and its style: that of reports, and what is the page's own."""
    for path in sorted(PAGE_FOLDER.iterdir()):
        if path.suffix in (".html", ".js"):
            write_output(folder / path.name, path.read_bytes())
    style = "\n".join([STYLE, *(path.read_text("utf-8") for path in sorted(PAGE_FOLDER.glob("*.css")))])
    write_output(folder / STYLE_SHEET, style.encode())


def paint_scenes(runs: ShownRuns, material: SceneMaterial, config: SiteConfig) -> Tuple[Tags, List[str]]:
    """Write the files of all scenes; their tags by token, and notes on what could not be drawn."""
    if material.scenes is None:
        return {}, []
    tags: Dict[str, List[str]] = {}
    problems: List[str] = []
    numbers = {token: number for number, token in enumerate(runs.logs)}
    refs = [material.scenes.refs[token] for token in numbers if token in material.scenes.refs]
    chunks = [
        [PaintItem(ref, numbers[ref.token], _find_plans(runs, material.plans, ref.token)) for ref in chunk]
        for chunk in chunk_refs(refs, config.workers)
    ]
    factory = partial(PaintHandler, material.scenes.setup, config.with_photos)
    with StageProgress("draw", len(refs)) as progress:
        with closing(run_in_workers(chunks, factory, config.workers, config.time_limit)) as outcomes:
            for outcome in outcomes:
                tags[outcome.item.ref.token] = _write_scene(outcome, config.out)
                problems += [f"scene {outcome.item.ref.token} is not drawn: {outcome.error}"] if outcome.error else []
                progress.advance(failed=bool(outcome.error))
    for token in sorted(set(numbers) - {ref.token for ref in refs}):
        _write_gap(config.out, numbers[token], "the scene is not in the logs any more, or is a synthetic one")
        problems.append(f"scene {token} is not drawn: not in the logs")
    more = [f"and {len(problems) - MAX_NOTES} more scenes are not drawn"] if len(problems) > MAX_NOTES else []
    return tags, problems[:MAX_NOTES] + more


def _find_plans(runs: ShownRuns, plans: Plans, token: str) -> Dict[str, Prediction]:
    return {name: plans[(name, token)] for name in runs.agents if (name, token) in plans}


def _write_scene(outcome: Outcome[PaintItem], folder: Path) -> List[str]:
    """The files of a scene; returns its tags."""
    number = outcome.item.number
    if outcome.error:
        _write_gap(folder, number, outcome.error)
        return []
    painted: Painted = outcome.result
    write_output(folder / scene_path(number, "js"), write_script("scene", str(number), painted.sketch), durable=False)
    if painted.jpeg is not None:
        write_output(folder / scene_path(number, "jpg"), painted.jpeg, durable=False)
    return painted.tags


def _write_gap(folder: Path, number: int, problem: str) -> None:
    write_output(folder / scene_path(number, "js"), write_script("scene", str(number), {"problem": problem}))
