"""What can be compared: results of `latentvla eval`, and the CSVs that NAVSIM's own scripts write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.comparison_names import name_agent, name_degraded, split_argument, split_seed
from latentvla_agent.evaluation.comparison_results import STAGES, Result, is_close
from latentvla_agent.evaluation.comparison_stock import read_stock, tell_metric
from latentvla_agent.evaluation.comparison_tables import TOLERANCE, Table, check_tokens, read_row, read_table
from latentvla_agent.evaluation.costs import COSTS
from latentvla_agent.evaluation.report_sections import list_losses
from latentvla_agent.evaluation.results import SCORES_FILE, SUMMARY_FILE, ResultRow, summarise_agent
from latentvla_agent.scoring.versions import ALL_METRICS, Metric, find_metric

SUMMARY_FIELDS = {
    **{"metric": str, "scorer": str, "split": dict, "versions": dict, "agents": list},
    **{"bad_logs": list, "missing_logs": list, "missing_tokens": int},
}
VERSIONS = ("latentvla_agent", "scoring_config")
DEVKIT_FACTS = ("generation", "source")  # its Python and numpy move scores by 3e-12


def read_results(argument: str, metric: Optional[Metric] = None) -> List[Result]:
    """The results of `[NAME=]PATH`: an output folder of `latentvla eval`, its scores.csv, the same under another name
    without the summary, or a CSV of NAVSIM.

    A result called NAME-seed3 is of agent NAME, training seed 3; of NAME (degradation) where the run had one. `metric`
    is what the user says that it is.

    Raises `DataError` for a file that is broken, incomplete or of another format, `ConfigError` where name or metric do
    not fit it.
    """
    name, path = split_argument(argument)
    if path.is_dir():
        path = path / SCORES_FILE
        if not path.exists():
            raise DataError(f"{path}: expected a finished result of latentvla eval, got no such file")
    table = read_table(path)
    if "agent" not in table.columns:
        results = [read_stock(table, name or name_agent(path), metric)]
    else:
        results = _read_run(table) if path.name == SCORES_FILE else _read_alone(table, metric)
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


def _read_alone(table: Table, metric: Optional[Metric]) -> List[Result]:
    """The results of a scores.csv that was kept without its summary, as those in `results/` of our repository."""
    told, _ = tell_metric(table, metric)
    if told.rules.generation == 2:
        raise DataError(
            f"{table.path}: expected {SCORES_FILE} and {SUMMARY_FILE}: its rows don't tell one stage from two"
        )
    rows = _read_rows(table, told)
    notes = (f"{table.path} has no {SUMMARY_FILE} beside it: nobody can see of which split and version it is",)
    results = []
    for agent, own in rows.items():
        check_tokens(table.path, agent, own)
        means = summarise_agent(agent, own, len(own), told)
        wanted = {name: means[name] for name in ("score", *told.columns)}
        facts = {"metric": told.name, "stages": "1"}
        results.append(Result(agent, table.path, table.sha256, told, tuple(own), wanted, facts, notes=notes))
    return results


def _read_rows(table: Table, metric: Metric) -> Dict[str, List[ResultRow]]:
    table.require(["token", "log", *metric.columns, "score", "valid"])
    rows: Dict[str, List[ResultRow]] = {}
    for line in table.lines:
        rows.setdefault(line.cells["agent"], []).append(read_row(line, line.cells["agent"], metric.columns))
    return rows


def _read_run(table: Table) -> List[Result]:
    summary = _read_summary(table.path.parent / SUMMARY_FILE)
    metric = find_metric(summary["metric"], ALL_METRICS)
    rows = _read_rows(table, metric)
    known = [described["agent"] for described in summary["agents"]]
    for agent in set(rows).difference(known):
        raise DataError(f"{table.path}: agent {agent!r} is not in {SUMMARY_FILE}")
    facts = _collect_facts(summary, metric)
    losses = list_losses({**summary, "agents": ()})  # failed scenes are counted from the rows
    notes = tuple(f"{table.path.parent} is incomplete: {loss}" for loss in losses)
    results = []
    for described in summary["agents"]:
        own = rows.get(described["agent"], [])
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
    if not is_close(means["score"], described.get("score")):
        raise DataError(
            f"{table.path}: expected a mean of {described.get('score')} for {described['agent']}, as in "
            f"{SUMMARY_FILE}, got {means['score']}; the two files are not of one run"
        )
    return {name: means[name] for name in ("score", *metric.columns)}


def _read_stages(table: Table, described: Mapping[str, Any], metric: Metric) -> Dict[str, Optional[float]]:
    """What the devkit made of the scenes of both stages; nothing but a score of 0 for an agent that failed in one."""
    means: Dict[str, Optional[float]] = {"score": described.get("score")}
    for stage in STAGES:
        part = described.get(stage[1:])
        means.update({name + stage: part.get(name) if isinstance(part, dict) else None for name in metric.columns})
    if means["score"] is None or not all(value is None or _is_score(value) for value in means.values()):
        raise DataError(f"{table.path}: expected scores of two stages in {SUMMARY_FILE}, got {means}")
    return means


def _is_score(value: Any) -> bool:
    return isinstance(value, (int, float)) and -TOLERANCE <= value <= 1.0 + TOLERANCE


def _read_summary(path: Path) -> Dict[str, Any]:
    try:
        summary = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: expected beside {SCORES_FILE}, cannot be read ({error.strerror})") from error
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
