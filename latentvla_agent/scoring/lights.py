"""Red lights: the lane connectors of the route that may not be entered, and when."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.config import NUM_STATES
from latentvla_agent.scoring.kernels import Lights
from latentvla_agent.scoring.observation import STEPS_PER_FRAME


def red_lanes(lights: Sequence[Tuple[str, bool]], lanes: Dict[str, Lane]) -> List[Lane]:
    """Lanes among `lanes` whose light is red, in the order of `lights`."""
    return [lanes[connector] for connector, is_red in lights if is_red and connector in lanes]


def make_lights(polygons: Any, is_red: npt.NDArray[np.bool_]) -> Lights:
    """Flat arrays of red areas (the outer rings of their parts) and of when they are red; `is_red` (41, L)."""
    parts, whole = shapely.get_parts(np.array(polygons, dtype=np.object_), return_index=True)
    vertices, ring_of_vertex = shapely.get_coordinates(shapely.get_exterior_ring(parts), return_index=True)
    starts = np.searchsorted(ring_of_vertex, np.arange(len(parts) + 1)).astype(np.int64)
    return Lights(starts, np.ascontiguousarray(vertices), np.ascontiguousarray(is_red[:, whole]))


def observe_lights(scene: Scene, lanes: Dict[str, Lane]) -> Lights:
    """Red lights over the scored horizon on the lanes of the route as the log gives it; a frame's state is held until
    the next frame (v2.2; v1.1 scores no lights)."""
    frames = scene.frames[scene.current_index :]
    last = (NUM_STATES - 1) // STEPS_PER_FRAME
    red = [{lane.id for lane in red_lanes(frame.traffic_lights, lanes)} for frame in frames[: last + 1]]
    ids = sorted(set().union(*red))
    by_frame = np.array([[id_ in now for id_ in ids] for now in red], dtype=np.bool_).reshape(len(red), len(ids))
    frame_of_step = np.minimum(np.arange(NUM_STATES) // STEPS_PER_FRAME, len(red) - 1)
    return make_lights([lanes[id_].polygon for id_ in ids], by_frame[frame_of_step])
