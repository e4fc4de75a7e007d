"""Pictures of the scenes in which agents differ: from above with every plan, and what the front camera saw.

Plans come from the journals of `latentvla eval`. A CSV of NAVSIM holds none, so its agents have no pictures.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Dict, List, Mapping, Sequence, Tuple

import numpy as np

from latentvla_agent.data.scene import LOG_INTERVAL_S, Scene
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader
from latentvla_agent.data.sensor_files import Image, encode_image, import_pillow, locate, read_image
from latentvla_agent.errors import LatentVLAError
from latentvla_agent.evaluation.comparison_examples import Example
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.comparison_scenes import Plans, Scenes, open_scenes, read_plans
from latentvla_agent.evaluation.drawing_plans import AgentPlans, draw_plans
from latentvla_agent.evaluation.report_charts import pick_color
from latentvla_agent.evaluation.stages import CacheHandler, read_prediction
from latentvla_agent.scoring.config import NUM_STEPS, STEP_S

FRONT_CAMERA = "CAM_F0"
PHOTO_WIDTH, PHOTO_QUALITY = 440, 75

Key = Tuple[str, str, str]  # agent a, agent b, token


@dataclass(frozen=True)
class ExamplePicture:
    """`svg` from above, and `photo`, the front camera's picture as a data URI; empty where there is none."""

    svg: str = ""
    photo: str = ""


@dataclass(frozen=True)
class ExamplePictures:
    """What could be drawn, and in words what could not."""

    pictures: Mapping[Key, ExamplePicture] = field(default_factory=dict)
    notes: Tuple[str, ...] = ()


def find_key(example: Example) -> Key:
    """Which picture belongs to it."""
    return example["a"], example["b"], example["token"]


def paint_examples(
    examples: Sequence[Example], groups: Mapping[str, Sequence[Result]], names: Sequence[str]
) -> ExamplePictures:
    """Pictures of all examples that can be drawn. `names`: the agents in the order of their colours.

    Whatever goes wrong is a note: the comparison still appears.
    """
    stock = [name for name in names if any(result.is_stock for result in groups[name])]
    notes = [f"no pictures of {name}: a CSV of NAVSIM holds no plans" for name in stock if examples]
    wanted = [example for example in examples if not {example["a"], example["b"]} & set(stock)]
    if not wanted:
        return ExamplePictures({}, tuple(notes))
    used = {name: groups[name] for name in names if any(name in find_key(example)[:2] for example in wanted)}
    try:
        plans = read_plans(used, {example["token"] for example in wanted})
        scenes = open_scenes(next(iter(used.values()))[0], {example["token"]: example["log"] for example in wanted})
    except LatentVLAError as error:
        return ExamplePictures({}, (*notes, f"no pictures: {error}"))
    painter = ExamplePainter(scenes, plans, names)
    pictures: Dict[Key, ExamplePicture] = {}
    for example in sorted(wanted, key=lambda one: (one["log"], one["token"])):  # a log is read once
        try:
            pictures[find_key(example)] = painter.paint(example)
        except Exception as error:  # a picture is worth less than the comparison
            notes.append(f"no picture of scene {example['token']}: {type(error).__name__}: {error}")
    return ExamplePictures(pictures, tuple(dict.fromkeys([*notes, *painter.describe_photos()])))


class ExamplePainter:
    """Draws examples. A scene without a picture of the camera is no fault: it is counted."""

    def __init__(self, scenes: Scenes, plans: Plans, names: Sequence[str]):
        self._broken: List[str] = []
        self._scenes, self._plans = scenes, plans
        self._colors = {name: pick_color(number) for number, name in enumerate(names)}
        self._caches = CacheHandler(scenes.setup)
        self._loader = SceneLoader(SceneIndex((), scenes.setup.scene_filter))
        self._photos: Dict[str, str] = {}

    def paint(self, example: Example) -> ExamplePicture:
        """Both pictures; raises where the scene is gone, or where an agent has no plan in it (it failed there)."""
        token, names = example["token"], find_key(example)[:2]
        ref = self._scenes.refs[token]
        plans = [self._collect_plans(name, token) for name in names]
        scene = self._loader.build(ref)
        human = scene.get_future_trajectory(int(round(NUM_STEPS * STEP_S / LOG_INTERVAL_S))).poses
        title = f"{names[0]} and {names[1]} in scene {token}"
        picture = draw_plans(self._caches.load_cache(ref), [own for own in plans if own.plans], human, title)
        if token not in self._photos:
            self._photos[token] = self._load_photo(scene, ref.log_path.parent.name)
        return ExamplePicture(picture, self._photos[token])

    def describe_photos(self) -> List[str]:
        """In how many of the scenes there is no picture of the front camera, and which can't be read."""
        missing = sum(not photo for photo in self._photos.values()) - len(self._broken)
        count = f"{missing} of {len(self._photos)} scenes"
        return [*self._broken, *([f"no front camera picture on this disk in {count}"] if missing else [])]

    def _collect_plans(self, name: str, token: str) -> AgentPlans:
        predictions = self._plans.get((name, token), ())
        interval = float(predictions[0]["interval"]) if predictions else LOG_INTERVAL_S
        return AgentPlans(self._colors[name], [read_prediction(one)[0] for one in predictions], interval)

    def _load_photo(self, scene: Scene, folder: str) -> str:
        """The front camera's picture of the current frame, small; empty where there is none."""
        camera = scene.current_frame.sensors["cams"].get(FRONT_CAMERA, {})
        try:
            path = locate(self._scenes.setup.roots.sensors / folder, camera.get("data_path"))
            if not path.is_file():
                return ""
            image = shrink(read_image(path))
        except LatentVLAError as error:
            self._broken.append(f"no picture of the front camera: {error}")
            return ""
        return f"data:image/jpeg;base64,{base64.b64encode(encode_image(image, PHOTO_QUALITY)).decode()}"


def shrink(image: Image, limit: int = PHOTO_WIDTH) -> Image:
    """A picture (H, W, 3) at most `limit` px wide."""
    height, width = image.shape[:2]
    if width <= limit:
        return image
    size = (limit, max(1, round(height * limit / width)))
    pillow = import_pillow()
    small: Image = np.array(pillow.fromarray(image).resize(size, pillow.Resampling.BOX, reducing_gap=2.0))
    return small
