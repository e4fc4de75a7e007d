"""Which synthetic scenes a two-stage split takes, chosen as NAVSIM v2.2 chooses them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Collection, Dict, List, Optional, Tuple

from latentvla_agent.data.outlines import OutlineStore, outline_synthetic_scene
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.data.synthetic_scenes import list_synthetic_scenes
from latentvla_agent.errors import DataError


@dataclass(frozen=True)
class SyntheticOutline:
    """What choosing needs of a synthetic scene. `original` is the frame of its log at the same time, where it began."""

    path: Path
    token: str
    log_name: str
    map_name: str
    original: Optional[str]


@dataclass(frozen=True)
class SecondStage:
    """Scenes in the order of file names, and what was asked for but is not among them."""

    scenes: Tuple[SyntheticOutline, ...] = ()
    bad_files: Tuple[Tuple[Path, str], ...] = ()
    missing_tokens: Tuple[str, ...] = ()


def choose_synthetic_scenes(
    split: Split,
    last_frames: Collection[str],
    *,
    tokens: Optional[Collection[str]] = None,
    skip_bad_files: bool = False,
    progress: bool = False,
    outlines: Optional[OutlineStore] = None,
) -> SecondStage:
    """Scenes of the second stage: those that the filter names, else those where a scene of the first stage ends.

    `last_frames` are the tokens of the last frames of the first stage's windows. As in the official script, only
    scenes among `reactive_synthetic_initial_tokens` count. `tokens` narrows the choice further. Raises `DataError`
    for a broken file (unless `skip_bad_files`) and for a token that names two scenes.
    """
    if split.synthetic_folder is None:
        return SecondStage()
    chosen: Dict[str, SyntheticOutline] = {}
    bad_files: List[Tuple[Path, str]] = []
    paths = list_synthetic_scenes(split.synthetic_folder)
    for number, path in enumerate(paths, start=1):
        if progress:
            print(f"reading synthetic scenes {number}/{len(paths)}", end="\r", file=sys.stderr, flush=True)
        try:
            outline = SyntheticOutline(
                path, **(outlines.read_synthetic(path) if outlines else outline_synthetic_scene(path))
            )
        except DataError as error:
            if not skip_bad_files:
                raise
            bad_files.append((path, str(error)))
            continue
        if _is_chosen(outline, split.scene_filter, last_frames) and (tokens is None or outline.token in tokens):
            _add(chosen, outline)
    if progress:
        print(file=sys.stderr)
    expected = split.second_stage_tokens if tokens is None else frozenset()
    return SecondStage(tuple(chosen.values()), tuple(bad_files), tuple(sorted(expected - set(chosen))))


def _is_chosen(outline: SyntheticOutline, scene_filter: SceneFilter, last_frames: Collection[str]) -> bool:
    named, reactive = scene_filter.synthetic_scene_tokens, scene_filter.reactive_synthetic_initial_tokens
    if scene_filter.log_names is not None and outline.log_name not in scene_filter.log_names:
        return False
    if reactive is not None and outline.token not in reactive:
        return False
    return outline.original in last_frames if named is None else outline.token in named


def _add(chosen: Dict[str, SyntheticOutline], outline: SyntheticOutline) -> None:
    other = chosen.setdefault(outline.token, outline)
    if other is not outline:
        raise DataError(f"{outline.path}: token {outline.token} is also that of {other.path}; expected one scene")
