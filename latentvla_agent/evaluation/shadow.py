"""The shadow check: where the devkit scores, the embedded scorer scores a sample too, and both must agree."""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.chunks import ItemMaker, Predictions
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.stages import ScoreHandler, ScoreItem, StageSetup, failed_row
from latentvla_agent.evaluation.worker_process import describe_error
from latentvla_agent.scoring.versions import METRICS, Metric

TOLERANCE = 1e-6
MAX_LISTED = 100


def compare_with_embedded(
    setup: StageSetup, refs: Sequence[SceneRef], predictions: Predictions, rows: Sequence[ResultRow], num_scenes: int
) -> Dict[str, Any]:
    """Score `num_scenes` scenes, evenly spread, from the same poses; {"scenes", "rows", "differences"}.

    Rows that the devkit could not score are left out, and so are scenes without any other; a difference names token,
    agent, column and both values. A scene that only the embedded scorer fails at differs in the column `error`.
    """
    metric = METRICS[setup.metric]
    names = [spec.name for spec in setup.agents]
    items, handler = ItemMaker(refs, names, predictions, metric.has_predecessors), ScoreHandler(setup)
    official = {(row.agent, row.token): row for row in rows if row.valid}
    chosen = _spread([ref for ref in refs if any((name, ref.token) in official for name in names)], num_scenes)
    differences: List[Dict[str, Any]] = []
    compared = 0
    for ref in chosen:
        for row in _score(handler, items.make(ref), names):
            other = official.get((row.agent, row.token))
            compared += other is not None
            differences += list_differences(other, row, metric) if other is not None else []
    return {
        "scenes": len(chosen),
        "rows": compared,
        "num_differences": len(differences),
        "differences": differences[:MAX_LISTED],
    }


def _spread(refs: Sequence[SceneRef], count: int) -> List[SceneRef]:
    places = np.unique(np.linspace(0, len(refs) - 1, min(count, len(refs))).round().astype(int))
    return [refs[place] for place in places]


def _score(handler: ScoreHandler, item: ScoreItem, names: Sequence[str]) -> List[ResultRow]:
    try:
        return handler.score(item)
    except Exception as error:  # as in a worker: whatever it is, the official rows stand, and this is a finding
        return [failed_row(item.ref, name, describe_error(error)) for name in names]


def list_differences(official: ResultRow, embedded: ResultRow, metric: Metric) -> List[Dict[str, Any]]:
    """Columns in which two rows differ by more than the tolerance, or one has no value; of a failed row its reason."""
    if not embedded.valid:
        place = {"token": official.token, "agent": official.agent, "column": "error"}
        return [{**place, "official": official.error, "embedded": embedded.error}]
    first, second = official.to_json(metric), embedded.to_json(metric)
    return [
        {
            "token": official.token,
            "agent": official.agent,
            "column": column,
            "official": first[column],
            "embedded": second[column],
        }
        for column in (*metric.columns, "score")
        if not _is_close(first[column], second[column])
    ]


def _is_close(first: Optional[float], second: Optional[float]) -> bool:
    if first is None or second is None:
        return first is second
    return abs(first - second) <= TOLERANCE


def warn_of_differences(shadow: Mapping[str, Any]) -> None:
    """One line on stderr: what was compared, and the first difference."""
    text = f"shadow check: {shadow['rows']} rows of {shadow['scenes']} scenes scored by the embedded scorer too"
    if not shadow["num_differences"]:
        print(f"{text}, all equal", file=sys.stderr)
        return
    first = shadow["differences"][0]
    official = "valid" if first["column"] == "error" else first["official"]
    print(
        f"warning: {text}: {shadow['num_differences']} values differ, first {first['agent']} in {first['token']}: "
        f"{first['column']} official {official}, embedded {first['embedded']}; all in summary.json",
        file=sys.stderr,
    )
