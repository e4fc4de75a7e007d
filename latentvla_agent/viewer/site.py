"""Writes a site: the page, its data, and a file per scene, drawn by worker processes."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.data.files import is_leftover
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.chunks import chunk_refs
from latentvla_agent.evaluation.comparison_scenes import Scenes
from latentvla_agent.evaluation.folders import make_folder, open_folder, write_output
from latentvla_agent.evaluation.locking import LOCK_FILE
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

    While it is made there is no `INDEX`: a page without one says that it is not finished, and shows nothing of the
    earlier site. Raises `DataError` where the folder holds something else, is being written to, or can't be.
    """
    check_folder(config.out)
    with open_folder(config.out):
        (config.out / INDEX).unlink(missing_ok=True)
        write_page(config.out)
        write_output(config.out / INDEX, write_script("site", "", write_data(runs, material, config)))
    return config.out / ENTRY


def write_data(runs: ShownRuns, material: SceneMaterial, config: SiteConfig) -> Dict[str, Any]:
    """Write scenes and agents; returns what the page has to know of them."""
    drawn, notes = paint_scenes(runs, material, config)
    tags = merge_tags([*material.tags, drawn], list(runs.logs))
    for number, result in enumerate(runs.agents.values()):
        content = write_script("agent", str(number), pack_agent(result, list(runs.logs)))
        write_output(config.out / agent_path(number), content)
    losses = [note for result in runs.agents.values() for note in result.notes]
    said = list(dict.fromkeys([*losses, *material.notes, *notes]))
    return describe_site(runs, tags, said, material.scenes is not None)


def check_folder(folder: Path) -> None:
    """Create the folder; raises `DataError` for one that holds anything but a site."""
    make_folder(folder)
    others = [path for path in folder.iterdir() if path.name != LOCK_FILE and not is_leftover(path, (".css",))]
    if others and not (folder / STYLE_SHEET).is_file():  # which is written first
        raise DataError(f"{folder}: expected an empty folder or a site of latentvla show, got one with other files")


def write_page(folder: Path) -> None:
    """The page, its scripts, and its style: that of reports, and what is the page's own."""
    style = "\n".join([STYLE, *(path.read_text("utf-8") for path in sorted(PAGE_FOLDER.glob("*.css")))])
    write_output(folder / STYLE_SHEET, style.encode())
    for path in sorted(PAGE_FOLDER.iterdir()):
        if path.suffix in (".html", ".js"):
            write_output(folder / path.name, path.read_bytes())


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
        _write_gap(config.out, numbers[token], token, "the scene is not in the logs any more, or is a synthetic one")
        problems.append(f"scene {token} is not drawn: not in the logs")
    more = [f"and {len(problems) - MAX_NOTES} more scenes are not drawn"] if len(problems) > MAX_NOTES else []
    return tags, problems[:MAX_NOTES] + more


def _find_plans(runs: ShownRuns, plans: Plans, token: str) -> Dict[str, Prediction]:
    return {name: plans[(name, token)] for name in runs.agents if (name, token) in plans}


def _write_scene(outcome: Outcome[PaintItem], folder: Path) -> List[str]:
    """The files of a scene; returns its tags."""
    number, token = outcome.item.number, outcome.item.ref.token
    if outcome.error:
        _write_gap(folder, number, token, outcome.error)
        return []
    painted: Painted = outcome.result
    _write_sketch(folder, number, token, painted.sketch)
    if painted.jpeg is not None:
        write_output(folder / scene_path(number, "jpg"), painted.jpeg, durable=False)
    return painted.tags


def _write_gap(folder: Path, number: int, token: str, problem: str) -> None:
    _write_sketch(folder, number, token, {"problem": problem})


def _write_sketch(folder: Path, number: int, token: str, sketch: Mapping[str, Any]) -> None:
    """With the token: files of copies that were put together by hand may be of another scene, and the page looks."""
    content = write_script("scene", str(number), {"token": token, **sketch})
    write_output(folder / scene_path(number, "js"), content, durable=False)
