"""The two-stage score of NAVSIM v2.2: rows of all scenes become one score per agent, by the devkit."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.data.stage_mapping import TwoStageGroup
from latentvla_agent.evaluation.official_scoring import OfficialSetup
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.stages import failed_row
from latentvla_agent.scoring.versions import Metric

STAGES = ("stage_one", "stage_two")


@dataclass(frozen=True)
class TwoStageResult:
    """Rows of one agent in the order of the scenes, and what goes into its entry of `summary.json`.

    An agent that failed in a scene has no score: the devkit's aggregation takes no gaps. It counts 0.
    """

    rows: Tuple[ResultRow, ...]
    summary: Mapping[str, Any]


def finish_agents(
    setup: OfficialSetup,
    refs: Sequence[SceneRef],
    groups: Sequence[TwoStageGroup],
    raw: Mapping[str, Sequence[Mapping[str, Any]]],
    metric: Metric,
) -> Dict[str, TwoStageResult]:
    """Results by agent; `raw` holds, by token, the devkit's whole row of every agent."""
    results: Dict[str, TwoStageResult] = {}
    with setup.start() as process:
        for number, spec in enumerate(setup.stage.agents):
            rows = {ref.token: raw[ref.token][number] for ref in refs}
            if any("error" in row for row in rows.values()):
                results[spec.name] = _give_up(refs, spec.name, rows)
                continue
            request = {
                "finish": list(rows.values()),
                "mapping": [astuple(group) for group in groups],
                "columns": [*metric.columns, "score"],
            }
            results[spec.name] = _read_answer(refs, spec.name, process.ask(request), metric)
    return results


def _give_up(refs: Sequence[SceneRef], agent: str, rows: Mapping[str, Mapping[str, Any]]) -> TwoStageResult:
    reason = "not aggregated, because the agent failed in other scenes"
    failed = tuple(failed_row(ref, agent, rows[ref.token].get("error", reason)) for ref in refs)
    return TwoStageResult(failed, {"score": 0.0, "score_valid_only": None, **{stage: None for stage in STAGES}})


def _read_answer(refs: Sequence[SceneRef], agent: str, answer: Mapping[str, Any], metric: Metric) -> TwoStageResult:
    finished = {row["token"]: row for row in answer["rows"]}
    rows: List[ResultRow] = []
    for ref in refs:
        row = finished[ref.token]
        sub_scores = {name: row[name] for name in metric.columns}
        rows.append(ResultRow(ref.token, ref.log_name, agent, row["score"], valid=True, sub_scores=sub_scores))
    return TwoStageResult(
        tuple(rows),
        {"score": answer["combined"]["score"], "score_valid_only": None, **{stage: answer[stage] for stage in STAGES}},
    )


def list_table_rows(agents: Sequence[Mapping[str, Any]], metric: Metric) -> List[Dict[str, Any]]:
    """Lines of the table for people: both stages of every agent, then both together."""
    lines: List[Dict[str, Any]] = []
    empty: Dict[str, Any] = {name: None for name in (*metric.columns, "score")}
    for agent in agents:
        counts = {"expected": agent["expected"], "failed": agent["failed"]}
        for stage in STAGES:
            lines.append({"agent": f"{agent['agent']}, {stage.replace('_', ' ')}", **counts, **(agent[stage] or empty)})
        lines.append({**empty, "agent": f"{agent['agent']}, combined", **counts, "score": agent["score"]})
    return lines
