"""What an agent costs: how long it plans, one scene at a time, and how many parameters it has; and what it did not see.

Times are medians under the names of the stages, and 95th percentiles under the same names with `_p95`. The network is
what comes after the features: tokens and planner, added plan by plan.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Dict, Iterable, List, Mapping, Union

import numpy as np

STAGES = ("features_ms", "tokens_ms", "planner_ms")
NETWORK_STAGES = ("tokens_ms", "planner_ms")
NETWORK = "network_ms"
TIMES = (*STAGES, "total_ms", NETWORK)
P95 = "_p95"
BLANK_SCENES = {"camera": "blank_camera_scenes", "lidar": "blank_lidar_scenes"}  # a sensor's kind -> scenes without it
COUNTS = ("parameters", *BLANK_SCENES.values())
COSTS = (*STAGES, "total_ms", "parameters", NETWORK, *(name + P95 for name in TIMES), *BLANK_SCENES.values())
DECIMALS = 3  # microseconds

Costs = Dict[str, Union[int, float]]


def describe_costs(agent: Any, seconds: float) -> Costs:
    """Costs of a plan that took so long: `STAGES`, `total_ms`, `parameters`; what is not known is left out.

    An agent may offer `stage_times()`, a mapping with the milliseconds of some `STAGES` of its last plan; only a torch
    module has parameters to count.
    """
    costs: Costs = {"total_ms": round(1e3 * seconds, DECIMALS)}
    stage_times = getattr(agent, "stage_times", None)
    times: Mapping[str, float] = stage_times() if callable(stage_times) else {}
    for name in STAGES:
        value = float(times.get(name, math.nan))
        if math.isfinite(value):
            costs[name] = round(value, DECIMALS)
    torch = sys.modules.get("torch")  # whoever made a module has loaded it
    if torch is not None and isinstance(agent, torch.nn.Module):
        costs["parameters"] = sum(parameter.numel() for parameter in agent.parameters())
    return costs


def describe_missing(agent: Any, *plan: int) -> Dict[str, int]:
    """How many sensors of each kind (`camera`, `lidar`) were blank in the last plan; empty for one that doesn't say.

    An agent may offer `missing_sensors()`, such a mapping; one that plans several scenes in a pass is asked for the
    position of the plan in it.
    """
    missing_sensors = getattr(agent, "missing_sensors", None)
    missing: Mapping[str, int] = missing_sensors(*plan) if callable(missing_sensors) else {}
    return {kind: int(missing[kind]) for kind in BLANK_SCENES if kind in missing}


def summarise_costs(predictions: Iterable[Mapping[str, Any]]) -> Costs:
    """Over one agent's predictions, in the order of `COSTS`; failed ones have no costs."""
    values: Dict[str, List[float]] = {}
    blank: Dict[str, int] = {}
    for prediction in predictions:
        costs = prediction.get("costs", {})
        for name, value in costs.items():
            values.setdefault(name, []).append(value)
        network = [costs[name] for name in NETWORK_STAGES if name in costs]
        if network:
            values.setdefault(NETWORK, []).append(sum(network))
        for kind, count in prediction.get("missing_sensors", {}).items():
            blank[BLANK_SCENES[kind]] = blank.get(BLANK_SCENES[kind], 0) + (count > 0)
    found: Dict[str, float] = {name: float(np.median(own)) for name, own in values.items()}
    found.update({name + P95: float(np.percentile(own, 95)) for name, own in values.items() if name in TIMES})
    found.update(blank)
    return {
        name: int(found[name]) if name in COUNTS else round(found[name], DECIMALS) for name in COSTS if name in found
    }
