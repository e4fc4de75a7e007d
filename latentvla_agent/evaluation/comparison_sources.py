"""What can be compared: results of `latentvla eval`, and the CSVs that NAVSIM's own scripts write.

A NAVSIM CSV (v1.1 run_pdm_score, v2.2 run_pdm_score_one_stage and run_pdm_score) has one row per scene and ends with
rows of means. It knows neither agent, split, logs nor version: the columns tell the metric, the path tells the agent.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.comparison_names import name_agent, name_degraded, split_argument, split_seed
from latentvla_agent.evaluation.comparison_tables import (
    MAY_BE_EMPTY,
    TOLERANCE,
    Line,
    Table,
    check_tokens,
    read_row,
    read_score,
    read_table,
)
from latentvla_agent.evaluation.costs import COSTS
from latentvla_agent.evaluation.report_sections import list_losses
from latentvla_agent.evaluation.results import ResultRow, summarise_agent
from latentvla_agent.scoring.versions import ALL_METRICS, METRICS, Metric, find_metric

SUMMARY_FIELDS = {
    **{"metric": str, "scorer": str, "split": dict, "versions": dict, "agents": list},
    **{"bad_logs": list, "missing_logs": list, "missing_tokens": int},
}
VERSIONS = ("latentvla_agent", "scoring_config")
DEVKIT_FACTS = ("generation", "source")  # its Python and numpy move scores by 3e-12
STAGES = ("_stage_one", "_stage_two")
MARKS = {  # columns that only one kind of CSV has: its metric, and whether it is of two stages
    "comfort": ("pdms-v1.1", False),
    "lane_keeping": ("epdms-v2.2", False),
    "lane_keeping_stage_one": ("epdms-v2.2", True),
}
COMBINED = "extended_pdm_score_combined"  # the row with the score of both stages
MEANS = re.compile(r"average(_\w+)?|extended_pdm_score_\w+")
MEAN_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Result:
    """One agent in one file; `own_name` is what the file calls it, `seed` the training seed that this name says.

    An agent whose sensors were degraded is another one, `agent (degradation)`, unless the user names it.

    `facts`: what must be equal between results that are compared, by name; what a file does not say is not in it.
    `means`: score and sub-scores in the headline, in 0…1. `costs`: see `costs.COSTS`.
    """

    agent: str
    path: Path
    sha256: str
    metric: Metric
    rows: Tuple[ResultRow, ...]
    means: Mapping[str, Optional[float]]
    facts: Mapping[str, str]
    two_stage: bool = False
    is_stock: bool = False
    costs: Mapping[str, Any] = field(default_factory=dict)
    batch_size: int = 1  # with which they were measured
    notes: Tuple[str, ...] = ()
    own_name: str = ""
    seed: Optional[int] = None
    degradation: Optional[str] = None  # what the agent's sensors lost, of `latentvla eval --degrade`

    @property
    def failed(self) -> int:
        """Scenes that count 0 because they failed."""
        return sum(not row.valid for row in self.rows)


def read_results(argument: str, metric: Optional[Metric] = None) -> List[Result]:
    """The results of `[NAME=]PATH`: an output folder of `latentvla eval`, its scores.csv, or a CSV of NAVSIM.

    A result called NAME-seed3 is of agent NAME, training seed 3; of NAME (degradation) where the run had one. `metric`
    is what the user says that it is.

    Raises `DataError` for a file that is broken, incomplete or of another format, `ConfigError` where name or metric do
    not fit it.
    """
    name, path = split_argument(argument)
    if path.is_dir():
        path = path / "scores.csv"
        if not path.exists():
            raise DataError(f"{path}: expected a finished result of latentvla eval, got no such file")
    table = read_table(path)
    results = _read_run(table) if "agent" in table.columns else [_read_stock(table, name or name_agent(path), metric)]
    if name and len({split_seed(result.agent)[0] for result in results}) > 1:
        raise ConfigError(f"{name}={path}: a name is for a result of one agent, this one has {len(results)}")
    for result in results:
        if metric is not None and result.metric != metric:
            raise ConfigError(f"{path}: expected --metric {metric.name}, got results of {result.metric.name}")
    return [_name_seed(result, name) for result in results]


def _name_seed(result: Result, name: str) -> Result:
    """The result under `name`, if any, and its seed: as `name` says it, else as the file's own name does."""
    own, own_seed = split_seed(result.agent)
    agent, seed = split_seed(name) if name else (name_degraded(own, result.degradation), own_seed)
    return replace(result, agent=agent, seed=own_seed if seed is None else seed, own_name=result.agent)


# --- results of latentvla eval


def _read_run(table: Table) -> List[Result]:
    summary = _read_summary(table.path.parent / "summary.json")
    metric = find_metric(summary["metric"], ALL_METRICS)
    table.require(["token", "log", *metric.columns, "score", "valid"])
    rows: Dict[str, List[ResultRow]] = {agent["agent"]: [] for agent in summary["agents"]}
    for line in table.lines:
        agent = line.cells["agent"]
        if agent not in rows:
            raise DataError(f"{line.place}: agent {agent!r} is not in summary.json")
        rows[agent].append(read_row(line, agent, metric.columns))
    facts = _collect_facts(summary, metric)
    losses = list_losses({**summary, "agents": ()})  # failed scenes are counted from the rows
    notes = tuple(f"{table.path.parent} is incomplete: {loss}" for loss in losses)
    results = []
    for described in summary["agents"]:
        own = rows[described["agent"]]
        check_tokens(table.path, described["agent"], own)
        two_stage = STAGES[0][1:] in described
        means = _read_stages(table, described, metric) if two_stage else _average(table, described, own, metric)
        costs = {name: described[name] for name in COSTS if isinstance(described.get(name), (int, float))}
        results.append(
            Result(
                described["agent"],
                table.path,
                table.sha256,
                metric,
                tuple(own),
                means,
                {**facts, "stages": "2" if two_stage else "1"},
                two_stage,
                costs=costs,
                batch_size=summary.get("batch_size", 1),
                notes=notes,
                degradation=summary.get("degradation"),
            )
        )
    return results


def _average(
    table: Table, described: Mapping[str, Any], rows: List[ResultRow], metric: Metric
) -> Dict[str, Optional[float]]:
    means = summarise_agent(described["agent"], rows, len(rows), metric)
    if not _is_close(means["score"], described.get("score")):
        raise DataError(
            f"{table.path}: expected a mean of {described.get('score')} for {described['agent']}, as in "
            f"summary.json, got {means['score']}; the two files are not of one run"
        )
    return {name: means[name] for name in ("score", *metric.columns)}


def _read_stages(table: Table, described: Mapping[str, Any], metric: Metric) -> Dict[str, Optional[float]]:
    """What the devkit made of the scenes of both stages; nothing but a score of 0 for an agent that failed in one."""
    means: Dict[str, Optional[float]] = {"score": described.get("score")}
    for stage in STAGES:
        part = described.get(stage[1:])
        means.update({name + stage: part.get(name) if isinstance(part, dict) else None for name in metric.columns})
    if means["score"] is None or not all(value is None or _is_score(value) for value in means.values()):
        raise DataError(f"{table.path}: expected scores of two stages in summary.json, got {means}")
    return means


def _is_score(value: Any) -> bool:
    return isinstance(value, (int, float)) and -TOLERANCE <= value <= 1.0 + TOLERANCE


def _read_summary(path: Path) -> Dict[str, Any]:
    try:
        summary = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: expected beside scores.csv, cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise DataError(f"{path}: not a readable JSON file ({error})") from error
    if not isinstance(summary, dict):
        raise DataError(f"{path}: expected the summary of latentvla eval, got {type(summary).__name__}")
    for name, kind in SUMMARY_FIELDS.items():
        if not isinstance(summary.get(name), kind):
            raise DataError(f"{path}: {name}: expected {kind.__name__}, got {type(summary.get(name)).__name__}")
    if not isinstance(summary.get("batch_size", 1), int):
        raise DataError(f"{path}: batch_size: expected a number, got {summary['batch_size']!r}")
    if not isinstance(summary.get("degradation"), (str, type(None))):
        raise DataError(f"{path}: degradation: expected a name or null, got {summary['degradation']!r}")
    agents = summary["agents"]
    if not agents or not all(isinstance(agent, dict) and isinstance(agent.get("agent"), str) for agent in agents):
        raise DataError(f"{path}: agents: expected at least one, each with its name in agent")
    return summary


def _collect_facts(summary: Mapping[str, Any], metric: Metric) -> Dict[str, str]:
    split = summary["split"]
    window, devkit = (
        part if isinstance(part, dict) else {} for part in (split.get("scene_filter"), summary.get("devkit"))
    )
    return {
        **{"metric": metric.name, "scorer": summary["scorer"], "split": str(split.get("name"))},
        **({"mapping of its stages": str(split["mapping"])} if split.get("mapping") else {}),
        **{f"scene filter's {key}": str(value) for key, value in window.items()},
        **{f"version of {name}": str(summary["versions"].get(name)) for name in VERSIONS},
        **{f"devkit's {name}": str(devkit[name]) for name in DEVKIT_FACTS if name in devkit},
    }


# --- CSVs of NAVSIM


def _read_stock(table: Table, agent: str, metric: Optional[Metric]) -> Result:
    told, two_stage = _tell_metric(table)
    if metric is not None and metric.columns == told.columns:
        told = metric  # both conventions of the human filter have the same columns
    columns = [name + stage for name in told.columns for stage in STAGES] if two_stage else list(told.columns)
    table.require(["token", "valid", *columns, "score"])
    footer = {line.cells["token"]: line for line in table.lines if MEANS.fullmatch(line.cells["token"])}
    lines = [line for line in table.lines if line.cells["token"] not in footer]
    optional = columns if two_stage else [MAY_BE_EMPTY]
    rows = tuple(read_row(line, agent, columns, optional) for line in lines)
    check_tokens(table.path, agent, rows)
    facts = {"metric": told.name, "scorer": "official", "stages": "2" if two_stage else "1"}
    if two_stage:
        means = _read_combined(table, footer.get(COMBINED), rows, columns)
        return Result(agent, table.path, table.sha256, told, rows, means, facts, two_stage=True, is_stock=True)
    means = summarise_agent(agent, rows, len(rows), told)
    notes = _check_footer(table, footer, means["score_valid_only"])
    means = {name: means[name] for name in ("score", *columns)}
    return Result(agent, table.path, table.sha256, told, rows, means, facts, is_stock=True, notes=notes)


def _tell_metric(table: Table) -> Tuple[Metric, bool]:
    """The metric, and whether the columns are of two stages."""
    told = [MARKS[name] for name in table.columns if name in MARKS]
    if len(told) == 1:
        return METRICS[told[0][0]], told[0][1]
    raise DataError(
        f"{table.path}: expected a CSV of latentvla eval (column agent) or of NAVSIM (column comfort in v1.1, "
        f"lane_keeping in v2.2), got columns {', '.join(table.columns)[:200]}"
    )


def _check_footer(table: Table, footer: Mapping[str, Line], mean: Optional[float]) -> Tuple[str, ...]:
    """Compare the row of means, which leaves failed scenes out, with the rows: they differ where a file was cut."""
    line = next((footer[token] for token in ("average", "average_all_frames") if token in footer), None)
    if line is None:
        return (f"{table.path} has no row of means at its end, so nobody can see whether it is complete",)
    stored = read_score(line, "score", may_be_empty=True)
    if not _is_close(stored, mean):
        raise DataError(
            f"{line.place}: expected a mean score of {mean}, as the rows give, got {stored}; rows are missing"
        )
    return ()


def _read_combined(
    table: Table, line: Optional[Line], rows: Tuple[ResultRow, ...], columns: List[str]
) -> Dict[str, Optional[float]]:
    """Means over groups of scenes, which only the devkit can form: the CSV holds neither groups nor weights."""
    if line is None or line.cells["valid"] != "True":
        raise DataError(
            f"{table.path}: expected a valid row {COMBINED}, got {'none' if line is None else 'a failed one'}"
        )
    failed = sum(not row.valid for row in rows)
    if failed:
        raise DataError(f"{table.path}: {failed} scenes failed, and {COMBINED} leaves their groups out, not 0")
    return {name: read_score(line, name, may_be_empty=name != "score") for name in ("score", *columns)}


def _is_close(first: Any, second: Any) -> bool:
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return abs(first - second) <= MEAN_TOLERANCE
    return first is None and second is None
