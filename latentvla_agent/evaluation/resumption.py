"""What of a journal counts as done when a run goes on.

An answer is done, and so is a failure of the agent's own, unless the user wants these tried again. What the
infrastructure failed at is not: a scene that timed out, or whose worker died, counts as failed in the run that saw it,
and the next one does it again. A score is done only as long as the plans are those that it was made of.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Collection, Dict, Iterable, List, Mapping, Optional, Tuple

from latentvla_agent.evaluation.stages import Prediction, ScoreItem

# How `workers` and `ray_workers` begin; what a handler raised begins with the name of a type.
TRANSIENT = ("timed out after ", "the worker died twice")
SCORED_KEYS = ("agent", "poses", "interval", "error")  # of a prediction: its costs move no score

Entry = Mapping[str, Any]
Key = Tuple[str, str]  # agent and token


def is_transient(error: str) -> bool:
    """Whether an error is the infrastructure's, which may have better luck the next time."""
    return error.startswith(TRANSIENT)


def finished_plans(
    entries: Iterable[Entry], retry_failed: bool = False, told: Optional[Collection[Key]] = None
) -> Dict[Key, Any]:
    """Predictions that are not made again; of several of one key the last. `told`: where details are kept, for which
    keys they are; a plan without them is made again."""
    plans = {(entry["prediction"]["agent"], entry["token"]): entry["prediction"] for entry in entries}
    return {key: plan for key, plan in plans.items() if _is_finished(key, plan, retry_failed, told)}


def _is_finished(key: Key, plan: Prediction, retry_failed: bool, told: Optional[Collection[Key]]) -> bool:
    if "error" in plan:
        return not retry_failed and not is_transient(plan["error"])
    return told is None or key in told


def finished_scores(
    entries: Iterable[Entry], items: Mapping[str, ScoreItem], retry_failed: bool = False
) -> Dict[str, List[Dict[str, Any]]]:
    """Rows by token that are not made again, of entries as `score_entry` makes them; of several of a token the last."""
    scores = {entry["token"]: entry for entry in entries}
    return {
        token: entry["rows"]
        for token, entry in scores.items()
        if token in items
        and entry.get("plans") == hash_plans(items[token])
        and not is_transient(entry.get("error", ""))
        and not (retry_failed and _has_failed(items[token], entry["rows"]))
    }


def _has_failed(item: ScoreItem, rows: List[Dict[str, Any]]) -> bool:
    """Whether scoring failed, not planning before it."""
    return any(row.get("error") and "error" not in plan for row, plan in zip(rows, item.predictions))


def score_entry(item: ScoreItem, rows: List[Dict[str, Any]], error: str) -> Dict[str, Any]:
    """What the journal keeps of a scored scene; `error` is that of the scene as a whole, empty for none."""
    return {
        "token": item.ref.token,
        "plans": hash_plans(item),
        "rows": rows,
        **({"error": error} if error else {}),
    }


def hash_plans(item: ScoreItem) -> str:
    """Hash of all plans that the rows of a scene are made of."""
    before = None if item.previous_ref is None else item.previous_ref.token
    content = [_take_scored(item.predictions), before, _take_scored(item.previous)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _take_scored(plans: Iterable[Optional[Prediction]]) -> List[Any]:
    return [None if plan is None else [plan.get(key) for key in SCORED_KEYS] for plan in plans]
