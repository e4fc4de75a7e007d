"""Writes small results: those of `latentvla eval`, and CSVs in the format of NAVSIM's scripts."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.evaluation.journal import Journal
from latentvla_agent.evaluation.results import ResultRow, summarise_agent, write_csv
from latentvla_agent.scoring.versions import METRICS

Scores = Mapping[str, Optional[float]]  # by token, None for a failed scene

NUM_LOGS, SCENES_PER_LOG = 4, 5
TOKENS = [f"{i:016x}" for i in range(NUM_LOGS * SCENES_PER_LOG)]
LOGS = {token: f"log-{i // SCENES_PER_LOG}" for i, token in enumerate(TOKENS)}
WINDOW = {"num_history_frames": 4, "frame_interval": 1, "max_scenes": None}


def make_scores(shift: float = 0.0) -> Dict[str, Optional[float]]:
    """Scores that go by log and scene, all moved by `shift`."""
    return {token: 0.3 + 0.1 * (i // SCENES_PER_LOG) + 0.02 * (i % 3) + shift for i, token in enumerate(TOKENS)}


def write_run(
    folder: Path,
    agents: Mapping[str, Scores],
    metric: str = "pdms-v1.1",
    logs: Mapping[str, str] = LOGS,
    **changes: Any,
) -> Path:
    """`scores.csv` and `summary.json` of a run; `changes` to the summary."""
    columns = METRICS[metric].columns
    rows: Dict[str, List[ResultRow]] = {}
    for agent, scores in agents.items():
        rows[agent] = [
            (
                ResultRow(token, logs[token], agent, error="ValueError: no")
                if score is None
                else ResultRow(token, logs[token], agent, score, True, "", dict.fromkeys(columns, score), (9.0, 8.0))
            )
            for token, score in scores.items()
        ]
    summary: Dict[str, Any] = {
        "metric": metric,
        "scorer": "embedded",
        "split": {"name": "dev", "log_folder": str(folder), "source": f"folder {folder}", "scene_filter": WINDOW},
        "versions": {"latentvla_agent": "0.1.0", "numpy": "2.0.0", "scoring_config": "c0ffee"},
        "agents": [summarise_agent(agent, own, len(own), METRICS[metric]) for agent, own in rows.items()],
        **{"bad_logs": [], "missing_logs": [], "missing_tokens": 0},
    }
    folder.mkdir(parents=True, exist_ok=True)
    summary.update(changes)
    (folder / "scores.csv").write_bytes(write_csv([row for own in rows.values() for row in own], METRICS[metric]))
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def write_plans(folder: Path, predictions: Iterable[Tuple[str, Mapping[str, Any]]]) -> None:
    """The journal of a run: (token, prediction)."""
    with Journal(folder / "predictions.journal", {"metric": "pdms-v1.1"}) as journal:
        for token, prediction in predictions:
            journal.append({"token": token, "prediction": dict(prediction)})


def write_stock(path: Path, scores: Scores, metric: str = "pdms-v1.1") -> Path:
    """What run_pdm_score of v1.1, or run_pdm_score_one_stage of v2.2, writes."""
    columns = METRICS[metric].columns
    valid = [score for score in scores.values() if score is not None]
    mean = sum(valid) / len(valid) if valid else None
    lines = [[token, score is not None, *[score] * (len(columns) + 1)] for token, score in scores.items()]
    footer = "average" if metric == "pdms-v1.1" else "average_all_frames"
    lines.append([footer, len(valid) == len(scores), *[mean] * (len(columns) + 1)])
    return write_lines(path, ["token", "valid", *columns, "score"], lines)


def write_two_stage(path: Path, first: Scores, second: Scores, combined: float) -> Path:
    """What run_pdm_score of v2.2 writes: scenes of both stages, each with empty cells for the other one."""
    names = METRICS["epdms-v2.2"].columns
    count, header = len(names), ["token", "valid"]
    header += [name + stage for stage in ("_stage_one", "_stage_two") for name in names] + ["score"]
    lines: List[List[Any]] = [[t, s is not None, *[s] * count, *[None] * count, s] for t, s in first.items()]
    lines += [[t, s is not None, *[None] * count, *[s] * count, s] for t, s in second.items()]
    lines.append(["extended_pdm_score_stage_one", True, *[0.9] * count, *[None] * count, 0.9])
    lines.append(["extended_pdm_score_stage_two", True, *[None] * count, *[0.5] * count, 0.5])
    lines.append(["extended_pdm_score_combined", True, *[0.9] * count, *[0.5] * count, combined])
    return write_lines(path, header, lines)


def write_lines(path: Path, header: Sequence[str], lines: Sequence[Sequence[Any]]) -> Path:
    """A CSV as pandas writes it: a first column without a name counts the rows."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *header])
    writer.writerows([number, *cells] for number, cells in enumerate(lines))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue())
    return path
