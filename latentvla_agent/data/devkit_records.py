"""Objects of NAVSIM and nuPlan in foreign pickles, as inert records: exact names of classes, and how to read them."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Tuple, Type

from latentvla_agent.data.pickles import Record

ACTOR = "nuplan.common.actor_state"
Classes = Mapping[str, Tuple[str, ...]]  # module -> names

TRACK_CLASSES: Classes = {  # what detected road users are made of
    f"{ACTOR}.agent": ("Agent",),
    f"{ACTOR}.oriented_box": ("OrientedBox",),
    f"{ACTOR}.scene_object": ("SceneObjectMetadata",),
    f"{ACTOR}.state_representation": ("StateSE2", "StateVector2D", "TimePoint"),
    f"{ACTOR}.static_object": ("StaticObject",),
    f"{ACTOR}.tracked_objects": ("TrackedObjects",),
    f"{ACTOR}.tracked_objects_types": ("TrackedObjectType",),
    "nuplan.planning.simulation.observation.observation_type": ("DetectionsTracks",),
    "shapely.io": ("from_wkb",),  # the outline of a box, where it was asked for
}
LIGHT_CLASSES: Classes = {
    "nuplan.common.maps.maps_datatypes": ("TrafficLightStatuses", "TrafficLightStatusData", "TrafficLightStatusType"),
    f"{ACTOR}.state_representation": TRACK_CLASSES[f"{ACTOR}.state_representation"],  # TimePoint, their time
}
PATH_CLASSES: Classes = {
    "pathlib": ("PosixPath", "WindowsPath"),
    "pathlib._local": ("PosixPath", "WindowsPath"),  # Python 3.13
}


def make_stand_ins(classes: Classes) -> Dict[Tuple[str, str], Type[Record]]:
    """A record class of its own for every name."""
    return {
        (module, name): type(name, (Record,), {"__slots__": ()}) for module, names in classes.items() for name in names
    }


def name_of(value: object) -> str:
    """Name of the class that a value was written as."""
    return type(value).__name__


def look_up(value: Any, *names: str) -> Any:
    """The attribute of an attribute … of a record; raises `ValueError` naming what is not there."""
    for name in names:
        if not isinstance(value, Record) or name not in value:
            raise ValueError(f"{name_of(value)} has no {name}")
        value = value.attribute(name)
    return value


def argument(value: Any, name: str, place: int) -> Any:
    """What the record of a class called `name` was made with; raises `ValueError` for anything else."""
    if name_of(value) != name or not isinstance(value, Record):
        raise ValueError(f"expected a {name}, got {name_of(value)}")
    return value.argument(place)
