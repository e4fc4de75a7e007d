"""What a worker does with one scene for a site: sketch it and take its photo."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional

from latentvla_agent.data.scene import LOG_INTERVAL_S
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.errors import LatentVLAError
from latentvla_agent.evaluation.stages import CacheHandler, Prediction, StageSetup
from latentvla_agent.scoring.config import NUM_STEPS, STEP_S
from latentvla_agent.scoring.versions import METRICS
from latentvla_agent.viewer.photos import Photo, load_photo
from latentvla_agent.viewer.sketches import sketch_scene
from latentvla_agent.viewer.tags import describe_situation

NUM_HUMAN_POSES = int(round(NUM_STEPS * STEP_S / LOG_INTERVAL_S))


@dataclass(frozen=True)
class PaintItem:
    """A scene, its `number` on the site, and what was planned in it by the names of agents."""

    ref: SceneRef
    number: int
    plans: Mapping[str, Prediction] = field(default_factory=dict)


@dataclass(frozen=True)
class Painted:
    """`sketch` as the page gets it, the front camera's `jpeg` where there is one, and tags."""

    sketch: Dict[str, Any]
    jpeg: Optional[bytes]
    tags: List[str]


class PaintHandler:
    """Sketches scenes; one instance per worker process. `with_photos`: the front camera's pictures too."""

    def __init__(self, setup: StageSetup, with_photos: bool = True):
        self._caches = CacheHandler(setup)
        self._loader = SceneLoader(SceneIndex((), setup.scene_filter))
        self._rules, self._sensors = METRICS[setup.metric].rules, setup.roots.sensors
        self._with_photos = with_photos

    def __call__(self, item: PaintItem) -> Painted:
        """The scene; whatever it raises is for the caller to tell. A photo that can't be read is a note in it."""
        scene = self._loader.build(item.ref)
        human = scene.get_future_trajectory(NUM_HUMAN_POSES).poses
        sketch = sketch_scene(self._caches.load_cache(item.ref), human, item.plans, self._rules)
        status = scene.current_frame.ego_status
        sketch["speed"] = round(float((status.ego_velocity**2).sum() ** 0.5), 1)
        photo: Optional[Photo] = None
        if self._with_photos:
            try:
                photo = load_photo(scene, self._sensors / item.ref.log_path.parent.name)
                sketch["noPhoto"] = "" if photo else "no picture of the front camera on the disk that made this site"
            except LatentVLAError as error:
                sketch["noPhoto"] = str(error)
        sketch["projection"] = photo.projection if photo else None
        return Painted(sketch, photo.jpeg if photo else None, describe_situation(scene))
