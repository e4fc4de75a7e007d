"""The scenes in which two agents differ most, both ways."""

from __future__ import annotations

import itertools
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.results import SCORE_DECIMALS, ResultRow

EXAMPLES = 3  # per pair and direction
MAX_PAIRS = 15
SMALLEST = 1e-6  # difference of scores that is worth a picture

Example = Dict[str, Any]


def find_examples(
    seeds: Mapping[str, Sequence[Result]], logs: Mapping[str, str], count: int = EXAMPLES
) -> List[Example]:
    """Per pair of agents up to `count` scenes in which the first is most ahead, then as many of the second.

    Scores and sub-scores are means over the agent's training seeds; a failed scene counts 0. `logs`: the log of every
    token, if known. Of many agents, the first `MAX_PAIRS` pairs. Equal differences go by their tokens.
    """
    if any(group[0].two_stage for group in seeds.values()):
        return []  # the score is of groups of scenes
    rows = {name: _collect_rows(group) for name, group in seeds.items()}
    scores = {name: {token: _mean([row.score for row in own]) for token, own in rows[name].items()} for name in rows}
    examples: List[Example] = []
    for a, b in itertools.islice(itertools.combinations(seeds, 2), MAX_PAIRS):
        gaps = {token: scores[a][token] - scores[b][token] for token in scores[a]}
        for sign in (1.0, -1.0):
            chosen = sorted(
                (token for token in gaps if sign * gaps[token] > SMALLEST), key=lambda t: (-sign * gaps[t], t)
            )
            for token in chosen[:count]:
                sides = {"a": rows[a][token], "b": rows[b][token]}
                examples.append(
                    {
                        **{
                            "a": a,
                            "b": b,
                            "token": token,
                            "log": logs.get(token, ""),
                            "difference": _round(gaps[token]),
                        },
                        **{f"score_{side}": _round(_mean([row.score for row in own])) for side, own in sides.items()},
                        **{f"sub_scores_{side}": _average(own) for side, own in sides.items()},
                    }
                )
    return examples


def _collect_rows(group: Sequence[Result]) -> Dict[str, List[ResultRow]]:
    rows: Dict[str, List[ResultRow]] = {}
    for result in group:
        for row in result.rows:
            rows.setdefault(row.token, []).append(row)
    return rows


def _average(rows: Sequence[ResultRow]) -> Dict[str, Optional[float]]:
    """Means over the seeds that have the sub-score; empty where all failed."""
    names = dict.fromkeys(name for row in rows for name in row.sub_scores)
    known = {name: [v for v in (row.sub_scores.get(name) for row in rows) if v is not None] for name in names}
    return {name: _round(_mean(values)) if values else None for name, values in known.items()}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _round(value: float) -> float:
    return round(value, SCORE_DECIMALS) + 0.0
