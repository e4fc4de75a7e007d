"""What the compiled kernels share: the decorator and the flat structures that a scene and its numbers travel in."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Callable, NamedTuple, TypeVar

import numba
from numba.extending import intrinsic

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# No fastmath: a score must not depend on the order in which a compiler likes to add. The GIL is released.
_decorate: Any = numba.njit(cache=True, nogil=True, error_model="numpy")
compile_kernel: Callable[[Kernel], Kernel] = _decorate
_decorate_inline: Any = numba.njit(nogil=True, error_model="numpy", inline="always")
inline_kernel: Callable[[Kernel], Kernel] = _decorate_inline  # where to hand over whole structures would cost the most
_make_intrinsic: Any = intrinsic


@_make_intrinsic
def multiply_add(_: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c of float64, rounded once; for kernels. A processor without such an instruction takes libm's."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fma(*values)

    return numba.float64(numba.float64, numba.float64, numba.float64), generate


class SubScore(IntEnum):
    """Columns of a rollout's values; those before PROGRESS are in 0…1 and have a first step of infraction."""

    COLLISION = 0
    DRIVABLE_AREA = 1
    DRIVING_DIRECTION = 2
    TRAFFIC_LIGHT = 3
    TIME_TO_COLLISION = 4
    LANE_KEEPING = 5
    COMFORT = 6
    PROGRESS = 7


NO_STEP = -1  # no infraction in the scored horizon


class Areas(NamedTuple):
    """P polygons: kinds (P,) of `AreaKind`, on_route (P,), bounds (P, 4) as min x, min y, max x, max y.

    The rings of polygon p are `ring_starts[polygon_starts[p]:polygon_starts[p + 1]]`, a ring's vertices
    `vertices[ring_starts[r]:ring_starts[r + 1]]`, closed. Holes and parts need no mark: inside is odd parity.
    """

    kinds: Any
    on_route: Any
    bounds: Any
    polygon_starts: Any
    ring_starts: Any
    vertices: Any


class AreaIndex(NamedTuple):
    """`Areas` for fast point tests: the edges of polygon p, sorted into horizontal slabs of equal height.

    Slab s of polygon p is number `slab_starts[p] + s`; its edges x0, y0, x1, y1 are
    `edges[edge_starts[slab]:edge_starts[slab + 1]]`. The slab of a point is `(y - bounds[p, 1]) * slab_scales[p]`.
    """

    kinds: Any
    on_route: Any
    bounds: Any
    slab_starts: Any
    slab_scales: Any
    edge_starts: Any
    edges: Any


class Objects(NamedTuple):
    """K objects in F frames: corners (F, K, 4, 2), centers (F, K, 2), present (F, K), reach (K,): half diagonal,
    bounds (K, 4) over all frames. Step s of the simulation (10 Hz) sees frame `frame_of_step[s]`.

    is_agent (K,): moves by itself. is_stopped (K,): judged by the first detection for all frames, as in the devkit.
    ignored (K,): never counts.
    """

    corners: Any
    centers: Any
    present: Any
    reach: Any
    bounds: Any
    is_agent: Any
    is_stopped: Any
    ignored: Any
    frame_of_step: Any


class Lights(NamedTuple):
    """L red areas as one ring each: `vertices[starts[l]:starts[l + 1]]`; is_red (41, L) at every step."""

    starts: Any
    vertices: Any
    is_red: Any


class Numbers(NamedTuple):
    """Thresholds and switches of `MetricConfig`, `VehicleConfig` and `Rules` as plain numbers."""

    half_length: float
    half_width: float
    rear_axle_to_center: float
    stopped_ego_speed: float
    stopped_ttc_speed: float
    ahead: float
    behind: float
    clamps_bearings: bool
    ttc_stride: int
    ttc_projections: int
    ttc_steps: int
    direction_window: int
    direction_compliance: float
    direction_violation: float
    lane_deviation: float
    lane_deviation_steps: int
    excuses_intersections: bool
    has_lights: bool
    has_lane_keeping: bool
    history_comfort: bool


class Comfort(NamedTuple):
    """history (H, 11): driven states put in front of a rollout; filters (5, H + 41, H + 41), see `comfort`; limits."""

    history: Any
    filters: Any
    low: Any
    high: Any


class Rollout(NamedTuple):
    """One simulated plan: states (41, 11), box corners (41, 4, 2) and centres (41, 2), flags (2, 41) of `ego_area`,
    and the rows of the areas and of the objects that it comes near. `skip` (K,) is scratch.
    """

    states: Any
    corners: Any
    centers: Any
    flags: Any
    near_areas: Any
    near_objects: Any
    skip: Any


class World(NamedTuple):
    """All that a rollout is scored against; centerline (M, 2)."""

    areas: AreaIndex
    objects: Objects
    lights: Lights
    centerline: Any
    comfort: Comfort
    numbers: Numbers
