"""An agent that stands still and tells what it weighed."""

from __future__ import annotations

from typing import Any, Dict

from latentvla_agent.baselines import StopAgent

PATH = [[0.0, 0.0, 0.0]] * 8


class Telling(StopAgent):
    """Weighs two proposals, and says so."""

    def plan_details(self, plan: int = -1) -> Dict[str, Any]:
        """See `evaluation.plan_details`."""
        return {"proposals": [PATH, PATH], "proposal_scores": [0.25, 0.75]}
