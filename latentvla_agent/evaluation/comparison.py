"""Results of several agents side by side, paired per token; refuses to put together what was not measured alike."""

from __future__ import annotations

import difflib
import itertools
import time
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.comparison_examples import EXAMPLES, find_examples
from latentvla_agent.evaluation.comparison_failures import count_failures, divide_failures
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.comparison_seeds import Groups, arrange_rows, check_seeds, drop_repeats
from latentvla_agent.evaluation.costs import COSTS, COUNTS
from latentvla_agent.evaluation.paired_statistics import PairedReplicates
from latentvla_agent.evaluation.provenance import command_line, list_versions
from latentvla_agent.evaluation.results import SCORE_DECIMALS
from latentvla_agent.evaluation.statistics import INTERVAL_DECIMALS, resampled_levels

PREFIX = "epdms-v2.2-prefix"
UNKNOWN_LOGS = "only (too narrow: which scenes share a log is not known; --data and --split would tell)"
NO_GROUPS = "nothing: results of two stages hold neither the groups of their scenes nor their weights"


def choose_agents(results: Sequence[Result], names: Sequence[str] = ()) -> Dict[str, List[Result]]:
    """The results of the agents that are named, or of all, in that order; raises `ConfigError` with a suggestion."""
    groups: Dict[str, List[Result]] = {}
    for result in results:
        groups.setdefault(result.agent, []).append(result)
    for name in names:
        if name not in groups:
            close = difflib.get_close_matches(name, groups, n=1)
            hint = f", did you mean {close[0]}?" if close else f"; there are: {', '.join(groups)}"
            raise ConfigError(f"no results of agent {name!r}{hint}")
    return {name: groups[name] for name in dict.fromkeys(names or groups)}


def check_comparable(groups: Groups) -> None:
    """Raise `ConfigError` where two results differ in anything but the agent, or are not of the same scenes."""
    results = [result for group in groups.values() for result in group]
    if not results:
        raise ConfigError("expected results of at least one agent, got none")
    _check_convention(results)
    known: Dict[str, Result] = {}
    for result in results:
        for fact, value in result.facts.items():
            other = known.setdefault(fact, result)
            if other.facts[fact] != value:
                raise ConfigError(
                    f"{result.path}: expected {fact} {other.facts[fact]} as in {other.path}, got {value}; "
                    "they can't be compared"
                )
    first = results[0]
    for result in results[1:]:
        own, others = ({row.token for row in some.rows} for some in (result, first))
        if own != others:
            raise ConfigError(
                f"{result.path}: expected the {len(others)} scenes of {first.path}, got {len(own)}: "
                f"{len(others - own)} of them are missing, {len(own - others)} others are here, "
                f"e.g. {min(own ^ others)}"
            )
    for name, group in groups.items():
        check_seeds(name, group)


def _check_convention(results: Sequence[Result]) -> None:
    """A CSV of NAVSIM does not say whether it was written before the human filter was mended: the user must."""
    mended = next((result for result in results if result.is_stock and result.metric.name == "epdms-v2.2"), None)
    if mended is not None and any(result.metric.name == PREFIX for result in results):
        raise ConfigError(
            f"{mended.path}: its columns are those of epdms-v2.2 and of {PREFIX}, and another result is {PREFIX}; "
            f"say --metric {PREFIX} if this file was written before the human filter was mended"
        )


def find_logs(groups: Groups) -> Dict[str, str]:
    """The log of every token, as our own runs say it; empty where there are none."""
    logs: Dict[str, str] = {}
    for result in itertools.chain(*groups.values()):
        for row in () if result.is_stock else result.rows:
            if logs.setdefault(row.token, row.log) != row.log:
                raise DataError(f"{result.path}: token {row.token}: expected log {logs[row.token]}, got {row.log}")
    return logs


def compare(
    groups: Groups, logs: Mapping[str, str], split: Optional[str] = None, num_examples: int = EXAMPLES
) -> Dict[str, Any]:
    """Content of `compare.json`, from results that `check_comparable` has passed. Scores are in 0…1.

    `logs`: the log of every token, empty if it is not known: then all scenes are one cluster. `split`: its name, where
    the results do not know it. `num_examples`: scenes of `find_examples`.
    """
    seeds, notes = drop_repeats(groups)
    first = next(iter(seeds.values()))[0]
    agents = [_describe_agent(name, seeds[name], group) for name, group in groups.items()]
    scores = {agent["agent"]: agent["score"] for agent in agents}
    differences: List[Dict[str, Any]] = [
        {"a": a, "b": b, "mean": round(scores[a] - scores[b], SCORE_DECIMALS) + 0.0, "low": None, "high": None}
        for a, b in itertools.combinations(scores, 2)
    ]
    if not first.two_stage:
        replicates = PairedReplicates(
            {name: arrange_rows(group, logs, lambda row: row.score) for name, group in seeds.items()}
        )
        for agent in agents:
            agent.update(_round(replicates.mean(agent["agent"])))
        for pair in differences:
            pair.update(_round(replicates.difference(pair["a"], pair["b"])))
    failures = [] if first.two_stage else count_failures(seeds)
    examples = find_examples(seeds, logs, num_examples)
    num_seeds = max(len(group) for group in seeds.values())
    num_logs = len({logs[row.token] for row in first.rows}) if logs else 1
    facts = {key: value for result in itertools.chain(*seeds.values()) for key, value in result.facts.items()}
    return {
        **{"metric": first.metric.name, "scorer": facts.get("scorer", "unknown"), "split": facts.get("split", split)},
        **{"scenes": len(first.rows), "clusters": num_logs, "seeds": num_seeds},
        "agents": agents,
        "differences": differences,
        "failures": failures,
        "failure_ratios": divide_failures(failures, seeds, logs) if failures else [],
        "largest_differences": examples,
        "batch_sizes": sorted({result.batch_size for result in itertools.chain(*groups.values()) if result.costs}),
        "two_stage": first.two_stage,
        "resampled_levels": _describe_levels(first.two_stage, bool(logs), num_logs, num_seeds),
        "seeds_by_agent": {name: len(group) for name, group in seeds.items()},
        "seed_numbers_by_agent": {name: [result.seed for result in group] for name, group in seeds.items()},
        "seed_scores_by_agent": {name: [result.means["score"] for result in group] for name, group in seeds.items()},
        "failed_by_agent": {name: sum(result.failed for result in group) for name, group in seeds.items()},
        "notes": notes,
        "facts": facts,
        "inputs": _list_inputs(groups),
        "versions": list_versions(),
        "command": command_line(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _list_inputs(groups: Groups) -> List[Dict[str, Any]]:
    inputs: Dict[str, Dict[str, Any]] = {}
    for result in itertools.chain(*groups.values()):
        entry = {"path": str(result.path), "sha256": result.sha256, "agents": []}
        inputs.setdefault(str(result.path), entry)["agents"].append(result.agent)
    return list(inputs.values())


def _describe_agent(name: str, seeds: Sequence[Result], measured: Sequence[Result]) -> Dict[str, Any]:
    """Means over the seeds, medians of the costs of all that was `measured`; null where nobody knows."""
    agent: Dict[str, Any] = {"agent": name, "score": None, "low": None, "high": None}
    for column in seeds[0].means:
        known = [value for value in (result.means[column] for result in seeds) if value is not None]
        agent[column] = round(float(np.mean(known)), SCORE_DECIMALS) if known else None
    for cost in COSTS:
        costs = [result.costs[cost] for result in measured if cost in result.costs]
        agent[cost] = float(np.median(costs)) if costs else None
    agent.update({name: int(agent[name]) for name in COUNTS if agent[name] is not None})
    return agent


def _round(interval: Tuple[float, float]) -> Dict[str, float]:
    low, high = (round(bound, INTERVAL_DECIMALS) + 0.0 for bound in interval)  # + 0.0: no negative zero
    return {"low": low, "high": high}


def _describe_levels(two_stage: bool, knows_logs: bool, num_logs: int, num_seeds: int) -> str:
    """What the intervals are over, in words."""
    if two_stage:
        return NO_GROUPS
    if knows_logs:
        return resampled_levels(num_logs, num_seeds)
    return f"scenes{', then seeds' * (num_seeds > 1)} {UNKNOWN_LOGS}"


def is_certain(pair: Mapping[str, Optional[float]]) -> bool:
    """Whether the interval of a difference leaves 0 out."""
    low, high = pair["low"], pair["high"]
    return low is not None and high is not None and (low > 0.0 or high < 0.0)
