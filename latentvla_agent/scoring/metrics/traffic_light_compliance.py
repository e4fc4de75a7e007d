"""TLC (v2.2): the ego box never touches a lane connector of its route while its light is red."""

from __future__ import annotations

from typing import Tuple

from latentvla_agent.scoring.kernels import NO_STEP, Rollout, World, compile_kernel
from latentvla_agent.scoring.metrics.contact import box_touches_ring


@compile_kernel
def score_traffic_lights(rollout: Rollout, world: World) -> Tuple[float, int]:
    """1, or 0 where the box touches a red area at any step, the start included (an ego that stopped in it fails)."""
    lights, corners = world.lights, rollout.corners
    for t in range(corners.shape[0]):
        for light in range(lights.is_red.shape[1]):
            if not lights.is_red[t, light]:
                continue
            if box_touches_ring(corners[t], lights.vertices, lights.starts[light], lights.starts[light + 1]):
                return 0.0, t
    return 1.0, NO_STEP
