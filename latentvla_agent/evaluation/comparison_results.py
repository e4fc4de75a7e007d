"""What is compared: one agent's rows and means, wherever they come from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional, Tuple

from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.scoring.versions import Metric

STAGES = ("_stage_one", "_stage_two")
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


def is_close(first: Any, second: Any) -> bool:
    """Whether two means, or two that are not there, are the same."""
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return abs(first - second) <= MEAN_TOLERANCE
    return first is None and second is None
