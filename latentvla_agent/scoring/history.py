"""What the ego drove before the scene: v2.2 judges comfort with it in front of the plan."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.config import DEFAULT_CONFIG, STEP_S, VehicleConfig
from latentvla_agent.scoring.interpolation import interpolate_rows, wrap_positive
from latentvla_agent.scoring.state import FloatArray, StateIndex, initial_state

HISTORY_FRAMES = 4  # with the current one: 1.5 s


def collect_history(scene: Scene, vehicle: VehicleConfig = DEFAULT_CONFIG.vehicle) -> FloatArray:
    """Driven states (H, 11) at 10 Hz up to just before the current frame, from the frames' own time stamps.

    The devkit's time grid ends one step short of the current frame, and its last entry is dropped as well. With even
    time stamps H is 14, the last 0.2 s before the current frame. Steering and turning are 0, as in the devkit. A scene
    without history frames has H = 0.
    """
    frames = scene.frames[max(0, scene.current_index + 1 - HISTORY_FRAMES) : scene.current_index + 1]
    if len(frames) < 2:
        return np.empty((0, len(StateIndex)))
    stamps = np.array([frame.timestamp for frame in frames], dtype=np.int64)
    return sample_history(stamps, np.stack([initial_state(frame.ego_status, vehicle) for frame in frames]))


def sample_history(stamps: npt.NDArray[np.int64], rows: FloatArray) -> FloatArray:
    """States (H, 11) between the driven ones (K, 11) at `stamps` (K,) [us]; see `collect_history`."""
    rows = rows.copy()
    rows[:, StateIndex.HEADING] = np.unwrap(rows[:, StateIndex.HEADING])
    times = np.arange(stamps[0], stamps[-1], int(STEP_S * 1e6))[:-1]
    states = interpolate_rows(times, stamps, rows)
    states[:, StateIndex.HEADING] = wrap_positive(states[:, StateIndex.HEADING])
    return states
