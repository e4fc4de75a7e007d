"""Latency, parameters and blank sensors of agents as a table."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence

from latentvla_agent.evaluation.costs import BLANK_SCENES, COUNTS, NETWORK, P95

TITLES = {
    **{"features_ms": "features p50", f"features_ms{P95}": "features p95"},
    **{NETWORK: "network p50", NETWORK + P95: "network p95"},
    **{"total_ms": "total p50", f"total_ms{P95}": "total p95"},
    "parameters": "parameters",
    **{name: f"blank {kind}" for kind, name in BLANK_SCENES.items()},
}
ONE_BY_ONE = "one scene at a time (batch 1)"
TOGETHER = "up to {0} scenes in one pass (batch {0}), of which each has an equal share,"
EXPLANATION = "Milliseconds of a plan, {}: median and 95th percentile. The network is tokens and planner together."
MIXED = "Results of different batch sizes are here: their milliseconds are not alike."
BLANK = "Blank camera, blank lidar: scenes that were planned without a picture, or without a cloud, that was asked for."


def tabulate_costs(agents: Sequence[Mapping[str, Any]], none: str = "-") -> List[List[str]]:
    """Header and one row per agent, of what one of them knows; no rows where none knows anything."""
    known = [name for name in TITLES if any(agent.get(name) is not None for agent in agents)]
    if not known:
        return []
    rows = [["agent", *(TITLES[name] for name in known)]]
    return rows + [[agent["agent"], *(_format(name, agent.get(name), none) for name in known)] for agent in agents]


def explain_costs(agents: Sequence[Mapping[str, Any]], batch_sizes: Sequence[int] = (1,)) -> List[str]:
    """What the columns of `tabulate_costs` are, in sentences; `batch_sizes`: those with which agents planned."""
    sizes = sorted(set(batch_sizes)) or [1]
    ways = " or ".join(ONE_BY_ONE if size == 1 else TOGETHER.format(size) for size in sizes)
    has_blank = any(agent.get(name) is not None for agent in agents for name in BLANK_SCENES.values())
    return [EXPLANATION.format(ways.rstrip(",")), *[MIXED] * (len(sizes) > 1), *[BLANK] * has_blank]


def _format(name: str, value: Optional[float], none: str) -> str:
    return none if value is None else f"{value:,.0f}" if name in COUNTS else f"{value:,.2f}"
