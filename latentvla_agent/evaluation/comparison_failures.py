"""Plans that fail: at fault in a collision, off the drivable area, or short of time to a collision.

They are counted, for a rate of a few in a hundred says little without its events; and how many times as often one
agent's fail as another's.
"""

from __future__ import annotations

import itertools
from typing import Any, Dict, List, Mapping, Optional, Sequence

from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.comparison_seeds import Groups, arrange_rows
from latentvla_agent.evaluation.paired_statistics import PairedReplicates
from latentvla_agent.evaluation.results import SCORE_DECIMALS, ResultRow
from latentvla_agent.evaluation.statistics import INTERVAL_DECIMALS

KINDS = ("no_at_fault_collisions", "drivable_area_compliance", "time_to_collision_within_bound")
ANY = "any"


def fails(row: ResultRow, kind: str) -> bool:
    """Whether a plan falls short of the whole sub-score `kind`, or of ANY of the three; a failed scene does."""
    kinds = KINDS if kind == ANY else (kind,)
    return not row.valid or any((row.sub_scores[name] or 0.0) < 1.0 for name in kinds)


def count_failures(seeds: Mapping[str, Sequence[Result]]) -> List[Dict[str, Any]]:
    """Of each agent: "plans" in all of its seeds, and how many of them fail, by kind and in ANY."""
    counts: List[Dict[str, Any]] = []
    for name, group in seeds.items():
        rows = [row for result in group for row in result.rows]
        found = {kind: sum(fails(row, kind) for row in rows) for kind in (*KINDS, ANY)}
        counts.append({"agent": name, "plans": len(rows), **found})
    return counts


def divide_failures(
    counts: Sequence[Mapping[str, Any]], seeds: Groups, logs: Mapping[str, str]
) -> List[Dict[str, Any]]:
    """Of each pair "a", "b": the "ratio" of the shares of plans that fail in ANY kind, with its 95 % interval over
    logs, scenes and seeds; null where b's never fail. `counts`: what `count_failures` found."""
    failed = {name: arrange_rows(group, logs, lambda row: float(fails(row, ANY))) for name, group in seeds.items()}
    replicates = PairedReplicates(failed)
    shares = {one["agent"]: one[ANY] / one["plans"] for one in counts}
    pairs: List[Dict[str, Any]] = []
    for a, b in itertools.combinations(seeds, 2):
        pair: Dict[str, Any] = {"a": a, "b": b, "ratio": None, "low": None, "high": None}
        if shares[b] > 0.0:
            low, high = replicates.quotient(a, b)
            pair.update(ratio=round(shares[a] / shares[b], SCORE_DECIMALS), low=_round(low), high=_round(high))
        pairs.append(pair)
    return pairs


def _round(bound: Optional[float]) -> Optional[float]:
    return None if bound is None else round(bound, INTERVAL_DECIMALS)
