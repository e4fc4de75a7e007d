"""Result rows under NAVSIM's column names, their means, and the files they are written to."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.scoring.scorer import Scores
from latentvla_agent.scoring.versions import Metric

SCORES_FILE, SUMMARY_FILE = "scores.csv", "summary.json"  # in the folder of a run
SCORE_DECIMALS = 12  # of means in the summary: the order of addition shall not show


@dataclass(frozen=True)
class ResultRow:
    """One agent in one scene. A failed row has `valid` false, the reason in `error`, and counts as score 0.

    `sub_scores` go by the metric's column names; None is a sub-score that this scene has not. `progress_raw`: metres of
    the reference plan and of this one; `collision_idx`, `ttc_idx`, `off_road_idx`: 10 Hz step of the first infraction,
    None for none.
    """

    token: str
    log: str
    agent: str
    score: float = 0.0
    valid: bool = False
    error: str = ""
    sub_scores: Mapping[str, Optional[float]] = field(default_factory=dict)
    progress_raw: Optional[Tuple[float, float]] = None
    collision_idx: Optional[int] = None
    ttc_idx: Optional[int] = None
    off_road_idx: Optional[int] = None

    def to_json(self, metric: Metric) -> Dict[str, Any]:
        """Flat mapping in column order, null where there is no value."""
        flat: Dict[str, Any] = {"token": self.token, "log": self.log, "agent": self.agent}
        flat.update({name: self.sub_scores.get(name) for name in metric.columns})
        flat.update(
            score=self.score,
            progress_raw=list(self.progress_raw) if self.progress_raw else None,
            collision_idx=self.collision_idx,
            ttc_idx=self.ttc_idx,
            off_road_idx=self.off_road_idx,
            valid=self.valid,
            error=self.error,
        )
        return flat

    @classmethod
    def from_json(cls, flat: Mapping[str, Any], metric: Metric) -> ResultRow:
        """Inverse of `to_json`."""
        progress = flat["progress_raw"]
        return cls(
            sub_scores={name: flat[name] for name in metric.columns} if flat["valid"] else {},
            progress_raw=(progress[0], progress[1]) if progress else None,
            **{key: flat[key] for key in ("token", "log", "agent", "score", "valid", "error")},
            **{key: flat[key] for key in ("collision_idx", "ttc_idx", "off_road_idx")},
        )


def row_of_scores(token: str, log: str, agent: str, scores: Scores, index: int = 0) -> ResultRow:
    """The row of entry `index` of a scored batch."""
    return ResultRow(
        token=token,
        log=log,
        agent=agent,
        score=float(scores.score[index]),
        valid=True,
        sub_scores={name: _value_or_none(values[index]) for name, values in scores.sub_scores.items()},
        progress_raw=(float(scores.progress_raw[index, 0]), float(scores.progress_raw[index, 1])),
        collision_idx=_step_or_none(scores.collision_idx[index]),
        ttc_idx=_step_or_none(scores.ttc_idx[index]),
        off_road_idx=_step_or_none(scores.off_road_idx[index]),
    )


def _step_or_none(step: Any) -> Optional[int]:
    return None if step < 0 else int(step)


def _value_or_none(value: Any) -> Optional[float]:
    return None if np.isnan(value) else float(value)


def write_csv(rows: Sequence[ResultRow], metric: Metric) -> bytes:
    """`scores.csv`: one line per agent and scene; empty cells where there is no value."""
    text = io.StringIO()
    columns = list(ResultRow("", "", "").to_json(metric))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        flat = row.to_json(metric)
        flat["progress_raw"] = json.dumps(flat["progress_raw"]) if row.progress_raw else None
        writer.writerow(flat)
    return text.getvalue().encode()


def summarise_agent(agent: str, rows: Sequence[ResultRow], expected: int, metric: Metric) -> Dict[str, Any]:
    """Means of one agent. Failed and missing scenes count 0 in `score`; sub-scores are means over the valid scenes that
    have them."""
    valid = [row for row in rows if row.valid]
    total = float(np.sum([row.score for row in valid]))
    summary: Dict[str, Any] = {
        "agent": agent,
        "expected": expected,
        "scored": len(valid),
        "failed": expected - len(valid),
        "score": round(total / expected, SCORE_DECIMALS) if expected else None,
        "score_valid_only": round(total / len(valid), SCORE_DECIMALS) if valid else None,
    }
    for name in metric.columns:
        values = [value for value in (row.sub_scores[name] for row in valid) if value is not None]
        summary[name] = round(float(np.mean(values)), SCORE_DECIMALS) if values else None
    return summary


SHORT_NAMES = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "driving_direction_compliance": "DDC",
    "traffic_light_compliance": "TLC",
    "ego_progress": "EP",
    "time_to_collision_within_bound": "TTC",
    "comfort": "C",
    "lane_keeping": "LK",
    "history_comfort": "HC",
    "two_frame_extended_comfort": "EC",
}


def format_table(summaries: Sequence[Mapping[str, Any]], metric: Metric) -> str:
    """The table for people: scores times 100, one line per agent."""
    header = ["agent", "scenes", "failed"] + [SHORT_NAMES[name] for name in metric.columns] + [metric.title]
    lines: List[List[str]] = [header]
    for summary in summaries:
        cells = [str(summary["agent"]), str(summary["expected"]), str(summary["failed"])]
        cells += [_percent(summary[name]) for name in metric.columns]
        lines.append(cells + [_percent(summary["score"])])
    return align_cells(lines)


def align_cells(lines: Sequence[Sequence[str]]) -> str:
    """Text of a table: a header, a rule, the other lines; the first column to the left, the others to the right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    formatted = [
        "  ".join([line[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(line[1:], widths[1:])]) for line in lines
    ]
    return "\n".join([formatted[0], "-" * len(formatted[0])] + formatted[1:])


def _percent(value: Optional[float]) -> str:
    return "-" if value is None else f"{100.0 * value:.2f}"
