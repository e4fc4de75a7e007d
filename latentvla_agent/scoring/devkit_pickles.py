"""Metric caches of NAVSIM's devkit as inert records: lzma pickles whose few known classes load as stand-ins."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.devkit_records import (
    ACTOR,
    PATH_CLASSES,
    TRACK_CLASSES,
    argument,
    look_up,
    make_stand_ins,
    name_of,
)
from latentvla_agent.data.pickles import Record, load_pickle, read_content
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.state import FloatArray, StateIndex

MAX_BYTES = 1 << 30  # unpacked; the largest seen has some 3 MB
_PDM = "navsim.planning.simulation.planner.pdm_planner"
STAND_INS = make_stand_ins(
    {
        **TRACK_CLASSES,
        **PATH_CLASSES,
        "navsim.common.dataclasses": ("Trajectory",),
        "navsim.common.enums": ("SceneFrameType",),
        "navsim.planning.metric_caching.metric_cache": ("MetricCache", "MapParameters"),
        f"{_PDM}.observation.pdm_observation": ("PDMObservation",),
        f"{_PDM}.observation.pdm_occupancy_map": ("PDMOccupancyMap", "PDMDrivableMap"),
        f"{_PDM}.utils.pdm_path": ("PDMPath",),
        f"{ACTOR}.car_footprint": ("CarFootprint",),
        f"{ACTOR}.dynamic_car_state": ("DynamicCarState",),
        f"{ACTOR}.ego_state": ("EgoState",),
        f"{ACTOR}.vehicle_parameters": ("VehicleParameters",),
        "nuplan.common.maps.maps_datatypes": ("SemanticMapLayer",),
        "nuplan.planning.simulation.trajectory.interpolated_trajectory": ("InterpolatedTrajectory",),
        "nuplan.planning.simulation.trajectory.trajectory_sampling": ("TrajectorySampling",),
    }
)


def read_cache_record(path: Path) -> Record:
    """The cache as written; raises `UnsafePickleError` for a name it must not ask for, `DataError` for another file."""
    record = load_pickle(path, _unpack(path, read_content(path)), STAND_INS)
    if name_of(record) != "MetricCache":
        raise DataError(f"{path}: expected a MetricCache of the devkit, got {name_of(record)}")
    assert isinstance(record, Record)
    return record


def _unpack(path: Path, content: bytes) -> bytes:
    unpacker = lzma.LZMADecompressor()
    try:
        unpacked = unpacker.decompress(content, MAX_BYTES)
    except lzma.LZMAError as error:
        raise DataError(f"{path}: expected a metric cache of the devkit, an lzma file ({error})") from error
    if not unpacker.eof:
        reason = f"more than {MAX_BYTES} bytes" if len(unpacked) == MAX_BYTES else "a truncated file"
        raise DataError(f"{path}: expected a metric cache of the devkit, got {reason}")
    return unpacked


def as_floats(values: Any, *shape: int) -> FloatArray:
    """Finite numbers as an array of that shape, -1 for any length; raises `ValueError`."""
    array = np.array(values, dtype=np.float64)
    expected = tuple(found if size < 0 else size for size, found in zip(shape, array.shape))
    if array.ndim != len(shape) or array.shape != expected or not np.isfinite(array).all():
        raise ValueError(f"expected finite numbers of shape {shape}, got shape {array.shape}")
    return array


def read_pose(state: Any) -> Tuple[float, float, float]:
    """x, y, heading of a StateSE2."""
    return look_up(state, "x"), look_up(state, "y"), look_up(state, "heading")


def read_vector(vector: Any) -> Tuple[float, float]:
    """x, y of a StateVector2D."""
    return look_up(vector, "_x"), look_up(vector, "_y")


def read_box(box: Any) -> Tuple[Tuple[float, float, float], Tuple[float, float]]:
    """Centre pose, and length and width, of an OrientedBox."""
    return read_pose(look_up(box, "_center")), (look_up(box, "_length"), look_up(box, "_width"))


def read_states(states: Sequence[Any]) -> Tuple[npt.NDArray[np.int64], FloatArray]:
    """Time stamps (K,) [us] and rows (K, 11) of EgoStates; raises `ValueError` where time does not go on."""
    stamps = np.array([int(look_up(state, "_time_point", "time_us")) for state in states], dtype=np.int64)
    rows = as_floats([_read_state(state) for state in states], -1, len(StateIndex))
    if len(stamps) > 1 and (np.diff(stamps) <= 0).any():
        raise ValueError("expected ego states in the order of time")
    return stamps, rows


def _read_state(state: Any) -> List[float]:
    """The devkit keeps the box, and takes the rear axle from its centre."""
    motion = look_up(state, "_dynamic_car_state")
    x, y, heading = read_pose(look_up(state, "_car_footprint", "_center"))
    behind = look_up(motion, "_rear_axle_to_center_dist")
    pose = [x - behind * np.cos(heading), y - behind * np.sin(heading), heading]
    velocity = read_vector(look_up(motion, "_rear_axle_velocity_2d"))
    acceleration = read_vector(look_up(motion, "_rear_axle_acceleration_2d"))
    steering = [look_up(state, "_tire_steering_angle"), look_up(motion, "_tire_steering_rate")]
    turning = [look_up(motion, "_angular_velocity"), look_up(motion, "_angular_acceleration")]
    return [*pose, *velocity, *acceleration, *steering, *turning]


def read_polygons(geometries: Sequence[Any]) -> npt.NDArray[np.object_]:
    """Polygons (P,), some of them of several parts; raises `ValueError` for other geometries and broken ones."""
    texts = np.empty(len(geometries), dtype=np.object_)
    texts[:] = [argument(geometry, "from_wkb", 0) for geometry in geometries]
    try:
        polygons: npt.NDArray[np.object_] = shapely.from_wkb(texts)
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"broken geometry: {error}") from error
    kinds = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)
    if not np.isin(shapely.get_type_id(polygons), kinds).all() or shapely.is_empty(polygons).any():
        raise ValueError("expected polygons")
    as_floats(shapely.get_coordinates(polygons), -1, 2)
    return polygons
