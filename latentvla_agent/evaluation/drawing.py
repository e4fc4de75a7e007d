"""Bird's-eye pictures of scored plans as SVG without any style of its own (see `report_template`).

Everything in a picture is what the scorer saw: areas, objects and reference plan come from the metric cache, the
simulated path from the scorer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Callable, List, Optional

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.evaluation.drawing_canvas import (
    Window,
    fit_size,
    format_number,
    place_local,
    write_clipped_line,
    write_line,
    write_ring,
)
from latentvla_agent.evaluation.drawing_map import draw_map
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, STEP_S
from latentvla_agent.scoring.kernels import Objects
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.observation import ObjectType, observe_tracks
from latentvla_agent.scoring.state import ego_corners
from latentvla_agent.scoring.versions import V1, Rules

FloatArray = npt.NDArray[np.float64]

STYLES = {ObjectType.VEHICLE: "vehicle", ObjectType.PEDESTRIAN: "pedestrian", ObjectType.BICYCLE: "bicycle"}
MAX_BYTES = 12_000  # of a picture
COARSENESS = (1.0, 2.0, 4.0, 8.0, 16.0)  # tried in turn
MAX_OBJECTS, MAX_OTHERS = 60, 25  # the nearest, now and at the moment of the infraction
MOVING_M = 0.5  # objects that move less over the horizon have no path
HIT_RADIUS = 15.0  # metres around the ego in which others are shown at the moment of the infraction
DOT_S = 0.5  # between two dots on a plan
FUTURE_STRIDE = 5  # steps of 0.1 s between two points of an object's path


@dataclass(frozen=True)
class Moment:
    """The first infraction: what (`collision`, `ttc`, `off road`) and at which 10 Hz step."""

    kind: str
    step: int

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.kind} {self.step * STEP_S:.1f} s"


@dataclass(frozen=True)
class DrawnPlan:
    """A plan (T, 3) in the ego frame with a pose every `interval` seconds, what became of it (41, 11) in the map frame,
    the human's (H, 3) path, and the rules it was scored by."""

    poses: FloatArray
    simulated: FloatArray
    human: Optional[FloatArray] = None
    moment: Optional[Moment] = None
    interval: float = 0.5
    rules: Rules = V1


def draw_scene(cache: MetricCache, plan: DrawnPlan, title: str) -> str:
    """One `<svg>` of the plan in its scene; `title` is read aloud by screen readers."""

    def draw_plan(observation: Objects, window: Window) -> List[str]:
        return draw_paths(cache, plan, window) + draw_moment(plan, observation, window)

    return write_picture(cache, title, choose_window(cache, plan), draw_plan)


def write_picture(
    cache: MetricCache, title: str, window: Window, draw_top: Callable[[Objects, Window], List[str]]
) -> str:
    """One `<svg>` of map and road users, and of what `draw_top` puts on them.

    Outlines are as fine as `MAX_BYTES` allows.
    """
    ego_box = ego_corners(cache.start, DEFAULT_CONFIG.vehicle)
    observation = observe_tracks(cache.tracks, ego_box, V1, DEFAULT_CONFIG.metrics)  # 5 s, nothing left out
    picture = ""
    for coarseness in COARSENESS:
        own = replace(window, coarseness=coarseness)
        elements = draw_map(cache, own) + draw_objects(cache, observation, own) + draw_top(observation, own)
        picture = (
            f'<svg class="bev" role="img" aria-label="{escape(title)}" viewBox="{own.view_box}">'
            f'{"".join([*elements, draw_scale(own)])}</svg>'
        )
        if len(picture.encode()) <= MAX_BYTES:
            break
    return picture


def choose_window(cache: MetricCache, plan: DrawnPlan) -> Window:
    """Around the ego, large enough for the plan and what became of it."""
    origin = cache.start[:3]
    paths = [place_local(plan.poses), Window(origin).place(plan.simulated)]
    if plan.human is not None:
        paths.append(place_local(plan.human))
    return Window(origin, fit_size(paths))


def draw_objects(cache: MetricCache, observation: Objects, window: Window) -> List[str]:
    """Boxes of the objects now and the paths of those that move, over the scored horizon."""
    corners = window.place(observation.corners[:NUM_STATES])
    centers = window.place(observation.centers[:NUM_STATES])
    present = observation.present[:NUM_STATES]
    shown = np.flatnonzero(window.sees(centers[0]) & present[0])
    shown = shown[np.argsort(np.hypot(*centers[0, shown].T), kind="stable")][:MAX_OBJECTS]
    elements: List[str] = []
    for style in (*STYLES.values(), "object"):
        chosen = [k for k in shown if STYLES.get(ObjectType(int(cache.tracks.types[k])), "object") == style]
        paths = "".join(_draw_future(centers[:, k], present[:, k], window) for k in chosen)
        boxes = "".join(write_ring(corners[0, k]) for k in chosen)
        elements.append(f'<path class="future {style}" d="{paths}"/>' if paths else "")
        elements.append(f'<path class="{style}" d="{boxes}"/>' if boxes else "")
    return [element for element in elements if element]


def _draw_future(centers: FloatArray, present: npt.NDArray[np.bool_], window: Window) -> str:
    steps = np.flatnonzero(present)
    if np.ptp(centers[steps], axis=0).max() < MOVING_M:
        return ""
    return write_clipped_line(centers[steps][::FUTURE_STRIDE], window)


def draw_paths(cache: MetricCache, plan: DrawnPlan, window: Window) -> List[str]:
    """Reference plan, human, plan with its poses, simulated path, and the ego box now; paths of the rear axle."""
    start = np.zeros((1, 2))
    poses = place_local(plan.poses)
    human = start if plan.human is None else np.vstack([start, place_local(plan.human)])
    stride = max(1, int(round(DOT_S / plan.interval)))
    dots = "".join(f"{write_line(point[None])}h0" for point in poses[stride - 1 :: stride] if window.sees(point))
    box = window.place(ego_corners(cache.start[:3], DEFAULT_CONFIG.vehicle))
    layers = (
        ("reference", write_clipped_line(window.place(cache.references[plan.rules.generation - 1]), window)),
        ("human", write_clipped_line(human, window)),
        ("ego", write_ring(box)),
        ("simulated", write_clipped_line(window.place(plan.simulated), window)),
        ("plan", write_clipped_line(np.vstack([start, poses]), window)),
        ("poses", dots),
    )
    return [f'<path class="{style}" d="{data}"/>' for style, data in layers if data]


def draw_moment(plan: DrawnPlan, observation: Objects, window: Window) -> List[str]:
    """The ego box at the moment of the infraction, and there the nearest other box and those that have moved."""
    if plan.moment is None:
        return []
    step = plan.moment.step
    ego = window.place(ego_corners(plan.simulated[step, :3], DEFAULT_CONFIG.vehicle))
    boxes = "".join(write_ring(box) for box in find_others(ego, observation, window, step))
    others = f'<path class="others" d="{boxes}"/>' if boxes else ""
    return [others, f'<path class="moment" d="{write_ring(ego)}"/>', _draw_label(plan.moment.text, ego, window)]


def find_others(ego: FloatArray, observation: Objects, window: Window, step: int) -> FloatArray:
    """Boxes (K, 4, 2) in the picture at `step`: the one nearest to the ego box, and those around it that have moved."""
    present = np.flatnonzero(observation.present[step] & window.sees(window.place(observation.centers[step])))
    boxes = window.place(observation.corners[step, present])
    if not len(present):
        return boxes
    gaps = shapely.distance(shapely.polygons(boxes), shapely.polygons(ego))
    travelled = np.hypot(*(observation.centers[step, present] - observation.centers[0, present]).T)
    has_moved = (travelled > MOVING_M) | ~observation.present[0, present]
    order = np.argsort(gaps, kind="stable")
    chosen = order[(gaps[order] == gaps.min()) | (has_moved[order] & (gaps[order] < HIT_RADIUS))]
    result: FloatArray = boxes[chosen[:MAX_OTHERS]]
    return result


def _draw_label(text: str, ego: FloatArray, window: Window) -> str:
    """The text beside the ego box, on the side with more room."""
    low_x, low_y, high_x, high_y = window.bounds
    to_right = ego.mean(axis=0)[0] <= 0.0
    x = ego[:, 0].max() + 1.0 if to_right else ego[:, 0].min() - 1.0
    y = float(np.clip(ego.mean(axis=0)[1], low_y + 0.06 * window.size, high_y - 0.08 * window.size))
    anchor = "start" if to_right else "end"
    return (
        f'<text class="label" x="{format_number(x)}" y="{format_number(y)}" text-anchor="{anchor}" '
        f'font-size="{format_number(window.size * 0.045)}">{escape(text)}</text>'
    )


def draw_scale(window: Window) -> str:
    """A bar of 10 m in the lower left corner."""
    low_x, _, _, high_y = window.bounds
    x, y, size = low_x + 0.03 * window.size, high_y - 0.035 * window.size, format_number(window.size * 0.04)
    left, right, height = format_number(x), format_number(x + 10.0), format_number(y)
    return (
        f'<path class="scale" d="M{left},{height} {right},{height}"/>'
        f'<text class="scale" x="{left}" y="{format_number(y - 0.02 * window.size)}" font-size="{size}">10 m</text>'
    )
