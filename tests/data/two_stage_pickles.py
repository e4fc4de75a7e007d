"""Pickles of synthetic scenes: by the devkit itself, or naming its classes where no devkit is installed.

What follows the scene's last frame stands in the file as objects of nuPlan. A kit is a name space with the classes
that these are made of: the real ones, or stand-ins whose pickles ask for the same names with the same content.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Dict, List, Tuple
from unittest.mock import patch

import numpy as np

from tests.data.two_stage_set import LaterFrame, RoadUser, SyntheticDescription, write_two_stage_set

ACTOR = "nuplan.common.actor_state"
STATES, MAPS = f"{ACTOR}.state_representation", "nuplan.common.maps.maps_datatypes"
TYPES = ("vehicle", "pedestrian", "bicycle", "traffic_cone", "barrier", "czone_sign", "generic_object")
NUM_AGENT_TYPES = 3  # the first of them are agents, the others static
PLACES = {
    "Agent": f"{ACTOR}.agent",
    "DetectionsTracks": "nuplan.planning.simulation.observation.observation_type",
    "OrientedBox": f"{ACTOR}.oriented_box",
    "SceneObjectMetadata": f"{ACTOR}.scene_object",
    "StateSE2": STATES,
    "StateVector2D": STATES,
    "StaticObject": f"{ACTOR}.static_object",
    "TimePoint": STATES,
    "TrackedObjects": f"{ACTOR}.tracked_objects",
    "TrackedObjectType": f"{ACTOR}.tracked_objects_types",
    "TrafficLightStatusData": MAPS,
    "TrafficLightStatuses": MAPS,
    "TrafficLightStatusType": MAPS,
}
SLOTS = {"StateSE2": ("heading", "x", "y"), "StateVector2D": ("_x", "_y", "_array"), "TimePoint": ("time_us",)}
RED, GREEN = 2, 0


def save_with_stand_ins(description: SyntheticDescription, folder: Path) -> None:
    """Write `<folder>/<scene token>.pkl` without the devkit."""
    kit = _make_stand_ins()
    content = {
        **description.content,
        "extended_traffic_light_data": [_build_lights(kit, frame) for frame in description.later],
        "extended_detections_tracks": [_build_tracks(kit, frame) for frame in description.later],
    }
    with patch.dict(sys.modules, _modules_of(kit)):
        pickled = pickle.dumps(content, pickle.HIGHEST_PROTOCOL)
    (folder / f"{description.token}.pkl").write_bytes(pickled)


def save_with_devkit(description: SyntheticDescription, folder: Path) -> None:
    """Write the same by `Scene.save_to_disk` of NAVSIM v2.2."""
    real: Any = importlib.import_module("navsim.common.dataclasses")
    kit = SimpleNamespace(**{name: getattr(importlib.import_module(place), name) for name, place in PLACES.items()})
    scene = real.Scene(
        real.SceneMetadata(**description.content["scene_metadata"]),
        None,
        [_build_devkit_frame(real, frame) for frame in description.content["frames"]],
        [_build_lights(kit, frame) for frame in description.later],
        [_build_tracks(kit, frame) for frame in description.later],
    )
    scene.save_to_disk(folder)


def _build_devkit_frame(real: Any, frame: Dict[str, Any]) -> Any:
    cameras = {
        name: real.Camera(
            np.zeros(1),  # what has no image is not saved
            camera["sensor2lidar_rotation"],
            camera["sensor2lidar_translation"],
            camera["cam_intrinsic"],
            camera["distortion"],
            camera["data_path"],
        )
        for name, camera in frame["camera_dict"].items()
    }
    return real.Frame(
        **{key: frame[key] for key in ("token", "timestamp", "roadblock_ids", "traffic_lights")},
        annotations=real.Annotations(**frame["annotations"]),
        ego_status=real.EgoStatus(**frame["ego_status"]),
        lidar=real.Lidar(),
        cameras=real.Cameras(**cameras),
    )


def _build_lights(kit: Any, frame: LaterFrame) -> Any:
    time = kit.TimePoint(frame.timestamp)
    lights = [
        kit.TrafficLightStatusData(kit.TrafficLightStatusType(RED if is_red else GREEN), connector, time)
        for connector, is_red in frame.lights
    ]
    return kit.TrafficLightStatuses(lights)


def _build_tracks(kit: Any, frame: LaterFrame) -> Any:
    return kit.DetectionsTracks(kit.TrackedObjects([_build_user(kit, user, frame.timestamp) for user in frame.users]))


def _build_user(kit: Any, user: RoadUser, timestamp: int) -> Any:
    number = TYPES.index(user.name)
    common = (
        kit.TrackedObjectType(number),
        kit.OrientedBox(kit.StateSE2(*user.center), *user.extent),
    )
    metadata = kit.SceneObjectMetadata(timestamp, user.instance_token, None, user.track_token)
    if number < NUM_AGENT_TYPES:
        return kit.Agent(*common, kit.StateVector2D(*user.velocity), metadata)
    return kit.StaticObject(*common, metadata)


def _make_stand_ins() -> SimpleNamespace:
    """Makers of objects with the attributes of nuPlan's."""
    classes = {name: type(name, (), _body_of(name)) for name in PLACES}

    def make(name: str, /, **attributes: Any) -> Any:
        instance = classes[name]()
        for key, value in attributes.items():
            setattr(instance, key, value)
        return instance

    def make_vector(x: float, y: float) -> Any:
        return make("StateVector2D", _x=x, _y=y, _array=np.array([x, y], dtype=np.float64))

    def make_object(name: str, kind: Any, box: Any, metadata: Any, **others: Any) -> Any:
        before = {key: others.pop(key) for key in list(others) if key in _TEMPORAL}
        own = {"_metadata": metadata, "instance_token": None, "_tracked_object_type": kind, "_box": box}
        return make(name, **before, **own, **others)

    def make_agent(kind: Any, box: Any, velocity: Any, metadata: Any) -> Any:
        past = {"_initial_time_stamp": make("TimePoint", time_us=metadata.timestamp_us)}
        past.update(_predictions=[], _past_trajectory=None)
        return make_object("Agent", kind, box, metadata, **past, _velocity=velocity, _angular_velocity=None)

    def make_static(kind: Any, box: Any, metadata: Any) -> Any:
        still = {"predictions": None, "past_trajectory": None, "velocity": make_vector(0.0, 0.0)}
        return make_object("StaticObject", kind, box, metadata, **still)

    def make_metadata(timestamp: int, token: str, track_id: Any, track_token: str) -> Any:
        named = {"token": token, "track_id": track_id, "track_token": track_token, "category_name": None}
        return make("SceneObjectMetadata", timestamp_us=timestamp, **named)

    def make_enum(name: str) -> Any:
        members: Dict[int, Any] = {}
        return lambda value: members.setdefault(value, make(name, value=value))

    def make_tracked(users: List[Any]) -> Any:
        return make("TrackedObjects", tracked_objects=sorted(users, key=lambda user: user._tracked_object_type.value))

    return SimpleNamespace(
        classes=classes,
        Agent=make_agent,
        DetectionsTracks=lambda tracked: make("DetectionsTracks", tracked_objects=tracked),
        OrientedBox=lambda center, length, width, height: make(
            "OrientedBox", _center=center, _length=length, _width=width, _height=height
        ),
        SceneObjectMetadata=make_metadata,
        StateSE2=lambda x, y, heading: make("StateSE2", heading=heading, x=x, y=y),
        StateVector2D=make_vector,
        StaticObject=make_static,
        TimePoint=lambda time_us: make("TimePoint", time_us=time_us),
        TrackedObjects=make_tracked,
        TrackedObjectType=make_enum("TrackedObjectType"),
        TrafficLightStatusData=lambda status, connector, time: make(
            "TrafficLightStatusData", status=status, lane_connector_id=connector, timestamp=time
        ),
        TrafficLightStatuses=lambda lights: make("TrafficLightStatuses", traffic_lights=lights),
        TrafficLightStatusType=make_enum("TrafficLightStatusType"),
    )


_TEMPORAL = ("_initial_time_stamp", "_predictions", "_past_trajectory")  # first in nuPlan's order


def _body_of(name: str) -> Dict[str, Any]:
    body: Dict[str, Any] = {"__module__": PLACES[name]}
    if name in SLOTS:
        body["__slots__"] = SLOTS[name]
    if name.endswith("Type"):
        body["__reduce__"] = lambda member: (type(member), (member.value,))
    return body


def _modules_of(kit: SimpleNamespace) -> Dict[str, ModuleType]:
    """Modules that hold the stand-ins, and those above them."""
    modules: Dict[str, ModuleType] = {}
    for place in PLACES.values():
        parts = place.split(".")
        for depth in range(1, len(parts) + 1):
            name = ".".join(parts[:depth])
            modules.setdefault(name, ModuleType(name))
    for name, place in PLACES.items():
        setattr(modules[place], name, kit.classes[name])
    return modules


def names_of(pickled: bytes) -> List[Tuple[str, str]]:
    """Every global that a pickle asks for, sorted."""
    names = set()

    class Watcher(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            names.add((module, name))
            return _Anything

    Watcher(io.BytesIO(pickled)).load()
    return sorted(names)


class _Anything:
    def __new__(cls, *arguments: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


if __name__ == "__main__":  # python -m tests.data.two_stage_pickles FOLDER: for a look at it with other tools
    print(write_two_stage_set(Path(sys.argv[1]).absolute(), save_with_stand_ins).root)
