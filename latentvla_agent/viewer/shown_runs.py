"""The runs that a site shows: their agents, each under a name of its own, over the same scenes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Mapping, Sequence, Tuple

from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.comparison import check_comparable, find_logs
from latentvla_agent.evaluation.comparison_names import name_degraded
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.comparison_scenes import read_plans
from latentvla_agent.evaluation.comparison_sources import read_results
from latentvla_agent.evaluation.plan_details import Details, read_details
from latentvla_agent.evaluation.stages import Prediction


@dataclass(frozen=True)
class ShownRuns:
    """Agents by the name that the site calls them, and the log of every scene in the order of the first run."""

    agents: Mapping[str, Result]
    logs: Mapping[str, str]

    @property
    def first(self) -> Result:
        """Metric, scorer and split are those of any of them."""
        return next(iter(self.agents.values()))


def read_runs(folders: Sequence[Path]) -> ShownRuns:
    """Results of `latentvla eval`; raises `ConfigError` where they are not of the same scenes, metric and scorer."""
    results: List[Result] = []
    for folder in dict.fromkeys(folders):
        if not folder.is_dir():
            raise DataError(f"{folder}: expected the output folder of latentvla eval, got no folder")
        results += [
            replace(result, agent=name_degraded(result.own_name, result.degradation), seed=None)
            for result in read_results(str(folder))
        ]
    stock = next((result for result in results if result.is_stock), None)
    if stock is not None:
        raise ConfigError(f"{stock.path}: expected a result of latentvla eval, got a CSV of NAVSIM's own scripts")
    agents = name_agents(results)
    check_comparable({name: [result] for name, result in agents.items()})
    logs = find_logs({name: [result] for name, result in agents.items()})
    first = next(iter(agents.values()))
    return ShownRuns(agents, {row.token: logs[row.token] for row in first.rows})


def name_agents(results: Sequence[Result]) -> Dict[str, Result]:
    """Each by its own name, with the folder of its run behind it where two have the same.

    Raises `ConfigError` where that does not tell them apart either.
    """
    count = Counter(result.agent for result in results)
    named: Dict[str, Result] = {}
    for result in results:
        folder = result.path.parent.resolve()
        name = result.agent if count[result.agent] == 1 else f"{result.agent} ({folder.name})"
        if name in named:
            raise ConfigError(f"two runs in folders called {folder.name} have an agent {result.agent}; rename a folder")
        named[name] = result
    return named


def collect_plans(runs: ShownRuns) -> Dict[Tuple[str, str], Prediction]:
    """What was planned, by (agent, token), with `details` where a run kept them; raises `DataError` for a bad file."""
    seeds = {name: [result] for name, result in runs.agents.items()}
    plans = {key: predictions[0] for key, predictions in read_plans(seeds, runs.logs).items()}
    details: Dict[Path, Dict[Tuple[str, str], Details]] = {}
    for name, result in runs.agents.items():
        folder = result.path.parent
        if folder not in details:
            details[folder] = read_details(folder)
        for token in runs.logs:
            own = details[folder].get((result.own_name, token))
            if own and (name, token) in plans:
                plans[(name, token)] = {**plans[(name, token)], "details": own}
    return plans
