"""What an agent costs: how long it plans, and how many parameters it has."""

from __future__ import annotations

import math
import sys
from typing import Any, Dict, Iterable, List, Mapping, Union

import numpy as np

STAGES = ("features_ms", "tokens_ms", "planner_ms")
COSTS = (*STAGES, "total_ms", "parameters")
DECIMALS = 3  # microseconds

Costs = Dict[str, Union[int, float]]


def describe_costs(agent: Any, seconds: float) -> Costs:
    """Costs of a plan that took so long, by names of `COSTS`; what is not known is left out.

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


def summarise_costs(predictions: Iterable[Mapping[str, Any]]) -> Costs:
    """Medians over one agent's predictions, in the order of `COSTS`; failed ones have no costs."""
    values: Dict[str, List[Union[int, float]]] = {name: [] for name in COSTS}
    for prediction in predictions:
        for name, value in prediction.get("costs", {}).items():
            values[name].append(value)
    medians = {name: float(np.median(own)) for name, own in values.items() if own}
    return {name: int(value) if name == "parameters" else round(value, DECIMALS) for name, value in medians.items()}
