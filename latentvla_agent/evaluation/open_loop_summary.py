"""What is said of measured plans: both summaries at every horizon, how far they can be trusted, and differences.

Intervals resample logs, then samples; a log is a recording made in one go, of which nuScenes cuts several drives. They
are of the very numbers beside them: every step is a mean over the samples that have it, in each replicate too.
"""

from __future__ import annotations

from dataclasses import asdict
from enum import Enum
from typing import Any, Dict, List, Mapping, Optional, Sequence

import numpy as np

from latentvla_agent.data.nuscenes.database import FutureTruth
from latentvla_agent.data.scene import FloatArray, Trajectory
from latentvla_agent.evaluation.open_loop import BoolArray, MeasuredPlans, measure_plans
from latentvla_agent.evaluation.open_loop_rules import HORIZONS_S, NUM_STEPS, RULES, STEPS, OpenLoopRules, Summary
from latentvla_agent.evaluation.statistics import bootstrap_ratios


def evaluate_open_loop(
    truths: Sequence[FutureTruth],
    plans: Mapping[str, Trajectory],
    rules: Sequence[OpenLoopRules] = tuple(RULES.values()),
) -> Dict[str, Any]:
    """Metrics of the plans by each of the rules, under the rules' names; plain values, as JSON takes them.

    A sample without a plan counts as if the ego had stood still, and is listed in `failed`; `planned_only` leaves it
    out. Raises as `measure_plans` does.
    """
    return summarise_plans(measure_plans(truths, plans, rules))


def summarise_plans(measured: Mapping[str, MeasuredPlans]) -> Dict[str, Any]:
    """What `evaluate_open_loop` says, of plans that have been measured."""
    some = next(iter(measured.values()))
    failed = [token for token, has_plan in zip(some.tokens, some.planned.tolist()) if not has_plan]
    result: Dict[str, Any] = {"num_samples": len(some.tokens), "num_failed": len(failed), "failed": failed}
    result.update({name: _summarise_rules(plans) for name, plans in measured.items()})
    return result


def describe_rules(rules: OpenLoopRules) -> Dict[str, Any]:
    """Rules as JSON: whose they are, the ego's box, the classes of objects, and so on."""
    return {key: item.value if isinstance(item, Enum) else item for key, item in asdict(rules).items()}


def _summarise_rules(plans: MeasuredPlans) -> Dict[str, Any]:
    counted = plans.counted
    result: Dict[str, Any] = {
        "rules": describe_rules(plans.rules),
        "num_counted": _name_horizons([int(counted[:, step - 1].sum()) for step in STEPS]),
        "num_human_collisions": int((plans.human_hits & counted).sum()),
    }
    for metric, table in plans.values.items():
        result[metric] = _summarise(table, counted)
        result[f"{metric}_interval"] = _find_interval(plans, table)
    only = counted & plans.planned[:, None]
    result["planned_only"] = {metric: _summarise(table, only) for metric, table in plans.values.items()}
    result["planned_only"]["num_counted"] = _name_horizons([int(only[:, step - 1].sum()) for step in STEPS])
    return result


def compare_plans(first: Mapping[str, MeasuredPlans], second: Mapping[str, MeasuredPlans]) -> Dict[str, Any]:
    """By rules and metric, mean and 95 % interval of second minus first, both the headline's `avg`, paired by sample.

    `num_samples`: how many have a step that counts. None where a step has none. Raises `ValueError` where the two are
    not of the same samples and steps.
    """
    return {
        name: {metric: _compare_values(first[name], second[name], metric) for metric in first[name].values}
        for name in first
    }


def _compare_values(first: MeasuredPlans, second: MeasuredPlans, metric: str) -> Optional[Dict[str, Any]]:
    if list(first.tokens) != list(second.tokens) or not np.array_equal(first.counted, second.counted):
        raise ValueError("expected the same samples and steps on both sides")
    difference = second.values[metric] - first.values[metric]
    interval = _find_interval(second, difference)
    if interval is None:
        return None
    mean = _summarise(difference, second.counted)[second.rules.headline.value]["avg"]
    num_samples = int(second.counted.any(axis=1).sum())
    return {"mean": mean, "low": interval[0], "high": interval[1], "num_samples": num_samples}


def _find_interval(plans: MeasuredPlans, values: FloatArray) -> Optional[List[float]]:
    """95 % interval of the headline's `avg` of values (N, T), over the very steps that it is the mean of."""
    if not plans.counted.any(axis=0).all():
        return None
    return list(bootstrap_ratios(values, plans.counted, plans.logs, _weigh_steps(plans.rules)))


def _weigh_steps(rules: OpenLoopRules) -> FloatArray:
    """How much the mean of each step (T,) has in the headline's `avg`."""
    weights = np.zeros(NUM_STEPS)
    for step in STEPS:
        if rules.headline is Summary.AT:
            weights[step - 1] += 1.0 / len(STEPS)
        else:
            weights[:step] += 1.0 / (len(STEPS) * step)
    return weights


def _summarise(values: FloatArray, counted: BoolArray) -> Dict[str, Dict[str, Optional[float]]]:
    """Both summaries of values (N, T): each horizon's, and their mean `avg`; None where no sample counts."""
    counts = counted.sum(axis=0)
    if not np.all(counts):
        return {summary.value: _name_horizons([None] * (len(STEPS) + 1)) for summary in Summary}
    means = np.where(counted, values, 0.0).sum(axis=0) / counts
    found = {Summary.AT: [means[step - 1] for step in STEPS], Summary.UP_TO: [means[:step].mean() for step in STEPS]}
    return {
        summary.value: _name_horizons([*map(float, numbers), float(np.mean(numbers))])
        for summary, numbers in found.items()
    }


def _name_horizons(values: List[Any]) -> Dict[str, Any]:
    names = [*(f"{horizon}s" for horizon in HORIZONS_S), "avg"]
    return dict(zip(names, values))
