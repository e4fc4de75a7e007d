"""Training seeds of an agent: several results of one name."""

from __future__ import annotations

import itertools
from typing import Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.results import ResultRow

SAME = 1e-9  # largest difference of scores that two runs of one deterministic agent may have

Groups = Mapping[str, Sequence[Result]]  # results by agent; several of one agent are training seeds
Values = Dict[str, Dict[str, npt.NDArray[np.float64]]]  # log -> token -> numbers (seeds,)


def drop_repeats(groups: Groups) -> Tuple[Dict[str, List[Result]], List[str]]:
    """Each agent's seeds. The same scores again are the same network again (or none), not another draw of training."""
    seeds: Dict[str, List[Result]] = {}
    notes: List[str] = []
    for name, group in groups.items():
        own: List[Result] = []
        for result in group:
            same = next((other for other in own if _is_same(result, other)), None)
            if same is None:
                own.append(result)
            else:
                notes.append(f"{name}: {result.path} has the same scores as {same.path}, counted once")
        if len(own) > 1:
            own.sort(key=lambda one: -1 if one.seed is None else one.seed)
            notes.append(f"{name}: taken as {len(own)} training seeds: {', '.join(map(_describe_seed, own))}")
        failed = sum(result.failed for result in own)
        if failed:
            notes.append(f"{name} failed in {failed} of {sum(len(one.rows) for one in own)} scenes, which count 0")
        seeds[name] = own
    told = dict.fromkeys(note for group in groups.values() for result in group for note in result.notes)
    return seeds, [*told, *notes]


def arrange_rows(seeds: Sequence[Result], logs: Mapping[str, str], number: Callable[[ResultRow], float]) -> Values:
    """A number of every row, seeds of a scene together. `logs`: of every token; empty: all scenes are one cluster."""
    numbers: Dict[str, List[float]] = {}
    for result in seeds:
        for row in result.rows:
            numbers.setdefault(row.token, []).append(number(row))
    values: Values = {}
    for token in sorted(numbers):
        values.setdefault(logs[token] if logs else "", {})[token] = np.array(numbers[token])
    return values


def check_seeds(name: str, group: Sequence[Result]) -> None:
    """Raise `ConfigError` where two different results are said to be of one seed, or sensors were degraded in one."""
    for first, second in itertools.combinations(group, 2):
        if first.degradation != second.degradation:
            raise ConfigError(
                f"{second.path}: expected sensors as in {first.path} ({first.degradation or 'intact'}) for {name}, got"
                f" {second.degradation or 'intact'}; they are no training seeds of one agent, name them apart"
            )
        if first.seed is not None and first.seed == second.seed and not _is_same(first, second):
            raise ConfigError(
                f"{second.path}: expected another training seed than {first.path}, both are seed {first.seed} of {name}"
            )


def _describe_seed(result: Result) -> str:
    number = "" if result.seed is None else f"{result.seed} of "
    score = result.means["score"]
    return f"{number}{result.path}" + ("" if score is None else f" ({100.0 * score:.2f})")


def _is_same(first: Result, second: Result) -> bool:
    scores = {row.token: row.score for row in first.rows}
    return all(abs(scores[row.token] - row.score) <= SAME for row in second.rows)
