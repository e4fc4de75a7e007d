"""The data of a site: scripts that hand JSON to the page, because a page opened from a disk may load nothing else."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence

from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.report_sections import name_metric
from latentvla_agent.evaluation.results import SHORT_NAMES, ResultRow
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STEPS, STEP_S
from latentvla_agent.viewer.columns import (
    MAX_LEVELS,
    list_levels,
    pack_indices,
    pack_levels,
    pack_members,
    pack_scores,
    pack_steps,
)
from latentvla_agent.viewer.shown_runs import ShownRuns

PER_FOLDER = 500  # scenes
MAX_ERROR = 300  # letters of a failure
OTHER_ERROR = "failed; the reason is in scores.csv"

Json = Dict[str, Any]


def write_script(kind: str, key: str, value: Any) -> bytes:
    """A call of the page's `receive`. Plain ASCII: nothing in it can end the script."""
    parts = ",".join(json.dumps(part, separators=(",", ":"), allow_nan=False) for part in (kind, key, value))
    return f"receive({parts});\n".encode("ascii")


def scene_path(number: int, suffix: str) -> str:
    """Where the file of a scene lies on the site."""
    return f"scenes/{number // PER_FOLDER:03}/{number}.{suffix}"


def agent_path(number: int) -> str:
    """Where the scores of an agent lie on the site."""
    return f"agents/{number}.js"


def describe_site(
    runs: ShownRuns, tags: Mapping[str, Sequence[int]], notes: Sequence[str], is_drawn: bool = True
) -> Json:
    """What the page needs before it shows anything: agents, scenes, tags and what could not be shown."""
    first, count = runs.first, len(runs.agents)
    logs = list(dict.fromkeys(runs.logs.values()))
    numbers = {log: number for number, log in enumerate(logs)}
    metric = name_metric({"metric": first.metric.name})
    return {
        "title": f"{metric} of {count} agent{'s' * (count != 1)} on {first.facts.get('split', 'a split')}",
        "metric": metric,
        "facts": f"{first.metric.name}, {first.facts.get('scorer', 'unknown')} scorer",
        "columns": [{"short": SHORT_NAMES[name], "long": name.replace("_", " ")} for name in first.metric.columns],
        "agents": [_describe_agent(number, *item) for number, item in enumerate(runs.agents.items())],
        "tokens": list(runs.logs),
        "logs": logs,
        "logOf": pack_indices([numbers[log] for log in runs.logs.values()]),
        "tags": [[tag, pack_members(members, len(runs.logs))] for tag, members in tags.items()],
        "steps": NUM_STEPS,
        "stepSeconds": STEP_S,
        "ego": [DEFAULT_CONFIG.vehicle.front_length, DEFAULT_CONFIG.vehicle.rear_length, DEFAULT_CONFIG.vehicle.width],
        "perFolder": PER_FOLDER,
        "notes": list(notes),
        "drawn": is_drawn,
    }


def _describe_agent(number: int, name: str, result: Result) -> Json:
    mean = result.means["score"]
    folder = result.path.parent.resolve().name
    return {"name": name, "mean": mean, "run": folder, "failed": result.failed, "file": agent_path(number)}


def pack_agent(result: Result, tokens: Sequence[str]) -> Json:
    """Scores of an agent over the scenes `tokens`: a failed scene has score 0, no sub-scores, and an error."""
    by_token = {row.token: row for row in result.rows}
    rows = [by_token[token] for token in tokens]
    return {
        "score": pack_scores([row.score for row in rows]),
        "subScores": [pack_scores([row.sub_scores.get(name) for row in rows]) for name in result.metric.columns],
        "collision": pack_steps([row.collision_idx for row in rows]),
        "ttc": pack_steps([row.ttc_idx for row in rows]),
        "offRoad": pack_steps([row.off_road_idx for row in rows]),
        "error": _pack_errors(rows),
    }


def _pack_errors(rows: Sequence[ResultRow]) -> Json:
    errors: List[Optional[str]] = [None if row.valid else row.error[:MAX_ERROR] or OTHER_ERROR for row in rows]
    common = {error for error, _ in Counter(errors).most_common(MAX_LEVELS - 2)} | {None}
    kept = [error if error in common else OTHER_ERROR for error in errors]
    return pack_levels(kept, list_levels(kept))
