"""Tags of scenes: what the split says of them (kinds of rare events), what their frames say, and the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Mapping, Sequence

import numpy as np

from latentvla_agent.data.scene import Scene
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.comparison_tables import read_table

SCENES_FILE = "scenes.csv"  # of a world that was made here: token, log, kind, kinds, …
TAG_COLUMNS = ("kinds", "tags", "kind")
SEPARATORS = ("|", ";", " ")
STANDING_MPS, SLOW_MPS, FAST_MPS = 0.5, 5.0, 12.0
COMMANDS = ("left", "straight", "right", "unknown")

Tags = Dict[str, List[str]]  # by token


def read_tags(path: Path) -> Tags:
    """Tags of a CSV with a column `token` and one of `TAG_COLUMNS`: names, with |, ; or blanks between them."""
    table = read_table(path)
    table.require(["token"])
    column = next((name for name in TAG_COLUMNS if name in table.columns), None)
    if column is None:
        raise DataError(f"{path}: expected one of the columns {', '.join(TAG_COLUMNS)}, got {', '.join(table.columns)}")
    tags: Tags = {}
    for line in table.lines:
        text = line.cells[column]
        for separator in SEPARATORS:
            text = text.replace(separator, "\n")
        tags.setdefault(line.cells["token"], []).extend(text.split("\n"))
    return {token: sorted(set(filter(None, own))) for token, own in tags.items()}


def find_split_tags(logs: Path) -> Tags:
    """Tags of the data root whose logs lie in the folder `logs` of a split; empty where it has none."""
    path = logs.parent.parent / SCENES_FILE
    return read_tags(path) if path.is_file() else {}


def describe_situation(scene: Scene) -> List[str]:
    """Tags that every scene has: `command: …`, `speed: …` and `city: …`."""
    status = scene.current_frame.ego_status
    command = np.asarray(status.driving_command).ravel()
    asked = COMMANDS[int(command.argmax())] if len(command) == len(COMMANDS) and command.any() else COMMANDS[-1]
    speed = float(np.hypot(*status.ego_velocity))
    limits = ((STANDING_MPS, "standing"), (SLOW_MPS, "slow, below 5 m/s"), (FAST_MPS, "medium"))
    pace = next((name for limit, name in limits if speed < limit), "fast, above 12 m/s")
    return [f"command: {asked}", f"speed: {pace}", f"city: {scene.scene_metadata.map_name}"]


def merge_tags(groups: Sequence[Mapping[str, Sequence[str]]], tokens: Sequence[str]) -> Dict[str, List[int]]:
    """The numbers of the scenes that have a tag, by tag; tags that all scenes have tell nothing and are left out."""
    scenes: Dict[str, List[int]] = {}
    for number, token in enumerate(tokens):
        for tag in dict.fromkeys(tag for group in groups for tag in group.get(token, ())):
            scenes.setdefault(tag, []).append(number)
    return {tag: scenes[tag] for tag in sorted(scenes) if len(scenes[tag]) < len(tokens)}
