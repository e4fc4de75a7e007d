"""Commands of which each writes into folders of its own."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, List, NamedTuple

from latentvla_agent.data.roots import EMBEDDED_FOLDER
from tests.evaluation.commands import EMBEDDED_LOGS, Answer, call, list_files

POSES = [[2.0 * i, 0.1 * i, 0.0] for i in range(1, 9)]
MAPS = EMBEDDED_FOLDER / "maps"


class Command(NamedTuple):
    """A command with its own folders for whatever it writes."""

    name: str
    folder: Path

    def __call__(self, *arguments: Any, entries: Any = None) -> Answer:
        """Run it in this process, on the embedded logs unless told otherwise."""
        options = ["--cache", self.folder / "cache", "--workers", 1]
        if not {"--data", "--split"}.intersection(arguments):
            options += ["--split", "embedded"]
        if self.name == "score":
            plans = self.folder / "plans.json"
            plans.write_text(json.dumps(entries or [{"token": "any", "name": "a", "poses": POSES}]))
            options += ["--trajectories", plans, "--out", self.folder / "out" / "scores.json"]
        if self.name == "eval":
            options += ["--out", self.folder / "out"]
        return call(self.name, *options, *arguments)

    def left(self) -> List[Path]:
        """Files that it left behind, other than outlines of logs that it read to the end."""
        files = [path for place in ("out", "cache") for path in list_files(self.folder / place)]
        return [path for path in files if path.parent.name != "log-outlines" or path.suffix != ".json"]


def first_token(logs: Path = EMBEDDED_LOGS) -> str:
    """The first scene of the first log in a folder."""
    frames = pickle.loads(sorted(logs.glob("*.pkl"))[0].read_bytes())
    return str(next(frame["token"] for frame in frames[3:] if len(frame["roadblock_ids"])))
