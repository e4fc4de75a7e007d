"""Sites of made-up scores and scenes of the size of real ones, for the browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from latentvla_agent.data.calibration import camera_rig, describe_cameras
from latentvla_agent.data.sensor_files import encode_image
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.scoring.observation import ObjectType
from latentvla_agent.scoring.versions import METRICS, V1
from latentvla_agent.viewer.photos import describe_projection
from latentvla_agent.viewer.shown_runs import ShownRuns
from latentvla_agent.viewer.site import INDEX, write_page
from latentvla_agent.viewer.site_data import agent_path, describe_site, pack_agent, scene_path, write_script
from latentvla_agent.viewer.sketches import sketch_scene
from tests.scoring.scenes import Thing, make_cache

METRIC = METRICS["pdms-v1.1"]
SCENES_PER_LOG = 90
SKETCHES = 16  # different ones; scenes take them in turn
NUMBER, TOKEN = "#", "?"  # in a script that is to be of any scene
KINDS = ("cut_in", "fog", "pedestrian")


@dataclass(frozen=True)
class SiteSize:
    """How much there is to see; `map_bytes` of path data and `things` on the road in each scene."""

    scenes: int = 60
    agents: Tuple[str, ...] = ("first", "second")
    map_bytes: int = 400
    things: int = 5
    photo: Tuple[int, int] = (96, 54)


def write_synthetic_site(folder: Path, size: SiteSize) -> ShownRuns:
    """A site in which the first agent plans with proposals and latent actions."""
    runs = make_shown_runs(size)
    write_page(folder)
    count = size.scenes
    tags = {kind: list(range(number, count, 7)) for number, kind in enumerate(KINDS)}
    tags["command: left"] = list(range(0, count, 3))
    (folder / INDEX).write_bytes(write_script("site", "", describe_site(runs, tags, [])))
    (folder / "agents").mkdir()
    for number, result in enumerate(runs.agents.values()):
        (folder / agent_path(number)).write_bytes(
            write_script("agent", str(number), pack_agent(result, list(runs.logs)))
        )
    rng = np.random.default_rng(3)
    sketches = [
        write_script("scene", NUMBER, {"token": TOKEN, **make_sketch(size, rng)}) for _ in range(min(SKETCHES, count))
    ]
    jpeg = encode_image(rng.integers(0, 255, (size.photo[1], size.photo[0], 3)).astype(np.uint8), 60)
    for number, token in enumerate(runs.logs):
        script, photo = folder / scene_path(number, "js"), folder / scene_path(number, "jpg")
        script.parent.mkdir(parents=True, exist_ok=True)
        own = sketches[number % len(sketches)].replace(NUMBER.encode(), str(number).encode(), 1)
        script.write_bytes(own.replace(TOKEN.encode(), token.encode(), 1))
        photo.write_bytes(jpeg)
    return runs


def make_shown_runs(size: SiteSize) -> ShownRuns:
    """Agents of which each loses another sub-score here and there; the last scene of the first one failed."""
    rng = np.random.default_rng(5)
    tokens = [f"{number:016x}" for number in range(size.scenes)]
    logs = {token: f"log-{number // SCENES_PER_LOG:04}" for number, token in enumerate(tokens)}
    agents: Dict[str, Result] = {}
    for name in size.agents:
        rows = [make_row(name, token, logs[token], rng) for token in tokens]
        if name == size.agents[0]:
            rows[-1] = ResultRow(tokens[-1], logs[tokens[-1]], name, error="ValueError: no <b>plan</b>")
        mean = sum(row.score for row in rows) / len(rows)
        facts = {"metric": METRIC.name, "scorer": "embedded", "split": "synthetic"}
        agents[name] = Result(
            name, Path("runs") / name / "scores.csv", "", METRIC, tuple(rows), {"score": mean}, facts, own_name=name
        )
    return ShownRuns(agents, logs)


def make_row(agent: str, token: str, log: str, rng: np.random.Generator) -> ResultRow:
    """Most scenes go well; a fifth lose something, at some time."""
    values = dict.fromkeys(METRIC.columns, 1.0)
    values["ego_progress"] = float(rng.uniform(0.5, 1.0))
    steps = {}
    if rng.random() < 0.1:
        values["no_at_fault_collisions"], steps["collision_idx"] = 0.0, int(rng.integers(5, 40))
    if rng.random() < 0.1:
        values["drivable_area_compliance"], steps["off_road_idx"] = 0.0, int(rng.integers(5, 40))
    if rng.random() < 0.1:
        values["time_to_collision_within_bound"], steps["ttc_idx"] = 0.0, int(rng.integers(0, 40))
    product = values["no_at_fault_collisions"] * values["drivable_area_compliance"]
    score = product * (5 * values["ego_progress"] + 5 * values["time_to_collision_within_bound"] + 2) / 12
    return ResultRow(token, log, agent, score, True, "", values, (30.0, 25.0), **steps)


def make_sketch(size: SiteSize, rng: np.random.Generator) -> Dict[str, Any]:
    """A straight road with things on it, and what the agents plan."""
    kinds = list(ObjectType)[:3]
    things = [
        Thing(*rng.uniform([-30, -30], [60, 30]).tolist(), speed=float(rng.choice([0.0, 5.0])), type=kinds[i % 3])
        for i in range(size.things)
    ]
    human = np.column_stack([np.arange(1.0, 9.0) * 4, 0.05 * np.arange(8.0) ** 2, 0.02 * np.arange(8.0)])
    plans: Dict[str, Any] = {}
    for number, name in enumerate(size.agents):
        poses = human * [1.0 - 0.1 * number, 1.0 - 0.5 * number, 1.0]
        plans[name] = {"agent": name, "poses": poses.tolist(), "interval": 0.5}
    proposals = [(human * [share, 2 * share - 1, 1.0]).tolist() for share in np.linspace(0.2, 1.2, 64)]
    plans[size.agents[0]]["details"] = {
        **{"proposals": proposals, "proposal_scores": np.linspace(0.1, 0.9, 64).round(3).tolist()},
        **{"codes": list(range(12)), "code_shares": [0.5] * 12, "transitions": 3},
    }
    sketch = sketch_scene(make_cache(*things), human, plans, V1)
    sketch["map"].append(("lane", make_outlines(size.map_bytes, rng)))
    calibration = describe_cameras(camera_rig(*size.photo), "log", "token")["CAM_F0"]
    blank = np.zeros((size.photo[1], size.photo[0], 3), np.uint8)
    sketch.update(speed=8.0, noPhoto="", projection=describe_projection(calibration, blank, 0.0))
    return sketch


def make_outlines(count: int, rng: np.random.Generator) -> str:
    """Path data of so many letters or a few more."""
    parts: List[str] = []
    length = 0
    while length < count:
        x, y, *steps = rng.integers(-50, 50, 22).tolist()
        parts.append(f"M{x},{y}l" + " ".join(f"{step / 10:g}" for step in steps) + "Z")
        length += len(parts[-1])
    return "".join(parts)
