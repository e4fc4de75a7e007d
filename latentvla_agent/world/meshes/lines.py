"""Poly-lines: moved aside, cut into dashes, walked along."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np
import shapely

from latentvla_agent.world.meshes.mesh import FloatArray

MITRE_LIMIT = 2.0
MIN_STEP = 0.05  # metres: a shorter step's direction is noise


def offset_line(line: FloatArray, distance: float) -> FloatArray:
    """`line` (M, 2) moved to its left by `distance` (to its right, if negative), vertex by vertex."""
    steps = np.diff(line, axis=0)
    units = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-9)
    normals = np.column_stack([-units[:, 1], units[:, 0]])
    before, after = np.vstack([normals[:1], normals]), np.vstack([normals, normals[-1:]])
    middle = before + after
    length = np.linalg.norm(middle, axis=1, keepdims=True)
    stretch = np.minimum(2.0 / np.maximum(length, 1e-6), MITRE_LIMIT)
    return line + distance * stretch * middle / np.maximum(length, 1e-6)


def measure_line(line: FloatArray) -> float:
    """Length in metres."""
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def sample_line(line: FloatArray, distances: FloatArray) -> Tuple[FloatArray, FloatArray]:
    """Points (N, 2) and unit tangents (N, 2) at `distances` (N,) from the line's start."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    points = np.column_stack([np.interp(distances, ends, line[:, axis]) for axis in (0, 1)])
    index = np.clip(np.searchsorted(ends, distances, side="right") - 1, 0, len(lengths) - 1)
    tangents = (line[index + 1] - line[index]) / np.maximum(lengths[index], 1e-9)[:, None]
    return points, tangents


def cut_line(line: FloatArray, start: float, end: float) -> FloatArray:
    """The part of the line between two distances from its start."""
    lengths = np.linalg.norm(np.diff(line, axis=0), axis=1)
    at = np.concatenate([[0.0], np.cumsum(lengths)])
    inner = line[(at > start + MIN_STEP) & (at < end - MIN_STEP)]
    tips, _ = sample_line(line, np.array([start, end]))
    return np.vstack([tips[:1], inner, tips[1:]])


def cut_dashes(line: FloatArray, dash: float, gap: float) -> List[FloatArray]:
    """The dashes (3, 2) of a broken line, with their middles, so that they follow a bend."""
    total = measure_line(line)
    starts = np.arange(0.5 * gap, total - 0.5 * dash, dash + gap)
    if len(starts) == 0:
        return []
    points = [sample_line(line, np.minimum(starts + part * dash, total))[0] for part in (0.0, 0.5, 1.0)]
    return list(np.stack(points, axis=1))


def list_roadsides(area: shapely.Geometry, offset: float, region: shapely.Geometry) -> List[FloatArray]:
    """Lines (M, 2) at `offset` metres outside of `area` and within `region`, with the area on their left."""
    grown = shapely.simplify(shapely.buffer(area, offset, quad_segs=3), 0.05)
    lines: List[FloatArray] = []
    for polygon in sorted(shapely.get_parts(grown), key=lambda part: part.bounds):
        for ring in (polygon.exterior, *polygon.interiors):
            points = shapely.get_coordinates(ring)
            is_outside = ring is polygon.exterior or ring.equals(polygon.exterior)
            if bool(shapely.is_ccw(ring)) != is_outside:
                points = points[::-1]
            inside = shapely.intersection(shapely.LineString(points), region)
            merged = shapely.line_merge(inside) if inside.geom_type == "MultiLineString" else inside
            pieces = [
                part for part in shapely.get_parts(merged) if part.geom_type == "LineString" and part.length > 0.0
            ]
            lines += [_follow(shapely.get_coordinates(piece), points) for piece in pieces]
    return lines


def _follow(piece: FloatArray, ring: FloatArray) -> FloatArray:
    """The piece in the direction of the ring that it is a part of: merging may have turned it."""
    at = shapely.LineString(ring)
    first, second = (shapely.line_locate_point(at, shapely.Point(point)) for point in piece[:2])
    forward = (second - first) % at.length < 0.5 * at.length
    return piece if forward else piece[::-1]
