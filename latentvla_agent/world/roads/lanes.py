"""Roads of a SUMO network: lanes for cars and the connectors between them, junctions, crossings, walkways."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Optional, Tuple
from xml.etree import ElementTree

import numpy as np
import shapely
from shapely import Polygon

from latentvla_agent.errors import DataError
from latentvla_agent.world.roads.curves import Line, drop_repeats, offset_line

CAR = "passenger"
WALKER = "pedestrian"
ONLY_CYCLES = frozenset({"bicycle", "scooter"})

Signal = Tuple[str, int]  # traffic light, link index


@dataclass(frozen=True, eq=False)
class RoadLane:
    """A lane that cars may use. `index` counts from the left; `line` (M, 2) is its middle, in driving direction."""

    key: str
    edge: str
    index: int
    line: Line
    width: float
    speed_limit: float


@dataclass(frozen=True, eq=False)
class RoadConnector:
    """A way across a junction. `parts` are SUMO's lanes that it is made of, in driving order; the first is its key."""

    key: str
    from_lane: str
    to_lane: str
    junction: str
    line: Line
    width: float
    speed_limit: float
    signal: Optional[Signal]
    parts: Tuple[str, ...]
    state: str  # SUMO's letter: M goes first, m yields, s stops, = is equal, o is off


@dataclass(frozen=True, eq=False)
class Roads:
    """A town's roads in its own frame, metres; dictionaries are in the network's order."""

    lanes: Dict[str, RoadLane]
    connectors: Dict[str, RoadConnector]
    junctions: Dict[str, Polygon]
    crossings: Dict[str, Polygon]
    walkways: Dict[str, Polygon]
    bicycle_lanes: Dict[str, Polygon]
    connector_of_part: Dict[str, str]

    def edges(self) -> Dict[str, List[RoadLane]]:
        """Lanes of each edge, the leftmost first."""
        found: Dict[str, List[RoadLane]] = {}
        for lane in self.lanes.values():
            found.setdefault(lane.edge, []).append(lane)
        return {edge: sorted(lanes, key=lambda lane: lane.index) for edge, lanes in found.items()}


def read_roads(net_file: Path) -> Roads:
    """Read a network that `make_network` wrote; raises `DataError` for a file that is none.

    Lines come as they are: `make_network` has smoothed them, so that SUMO's vehicles drive on the same lines.
    """
    try:
        root = ElementTree.parse(net_file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{net_file}: expected a SUMO network, not readable ({error})") from error
    roads = find_roads(root)
    if not roads.lanes:
        raise DataError(f"{net_file}: expected a SUMO network with lanes for cars, got none")
    return roads


def find_car_lanes(root: ElementTree.Element) -> Dict[str, List[str]]:
    """Ids of the lanes that cars may use, by edge, the leftmost first; junctions are left out."""
    found: Dict[str, List[str]] = {}
    for edge in root.iter("edge"):
        usable = [lane.attrib["id"] for lane in edge.iter("lane") if _allows(lane, CAR)]
        if usable and edge.get("function", "normal") == "normal":
            found[edge.attrib["id"]] = usable[::-1]  # SUMO counts from the right
    return found


def find_roads(root: ElementTree.Element) -> Roads:
    """The roads in a parsed network."""
    edges = {edge.attrib["id"]: edge for edge in root.iter("edge")}
    elements = find_lane_elements(edges.values())
    lanes = _read_lanes(root, elements)
    connectors = _read_connectors(root, lanes, elements)
    return Roads(
        lanes=lanes,
        connectors=connectors,
        junctions=_read_junctions(root),
        crossings=_read_strips(edges, "crossing", WALKER),
        walkways={**_read_strips(edges, "", WALKER), **_read_places(edges)},
        bicycle_lanes=_read_strips(edges, "", "bicycle"),
        connector_of_part={part: key for key, connector in connectors.items() for part in connector.parts},
    )


def _read_lanes(root: ElementTree.Element, elements: Dict[str, ElementTree.Element]) -> Dict[str, RoadLane]:
    lanes: Dict[str, RoadLane] = {}
    for edge, keys in find_car_lanes(root).items():
        for index, key in enumerate(keys):
            lane = elements[key]
            line = drop_repeats(_points(lane))
            lanes[key] = RoadLane(key, edge, index, line, _width(lane), float(lane.attrib["speed"]))
    return lanes


def _read_connectors(
    root: ElementTree.Element,
    lanes: Dict[str, RoadLane],
    elements: Dict[str, ElementTree.Element],
) -> Dict[str, RoadConnector]:
    onward: Dict[str, str] = {}  # the internal lane that goes on from an internal lane
    starts: List[ElementTree.Element] = []
    for link in root.iter("connection"):
        if link.attrib["from"].startswith(":"):
            if "via" in link.attrib:
                onward[f"{link.attrib['from']}_{link.attrib['fromLane']}"] = link.attrib["via"]
        elif "via" in link.attrib:
            starts.append(link)
    connectors: Dict[str, RoadConnector] = {}
    for link in starts:
        first, last = (f"{link.attrib[e]}_{link.attrib[n]}" for e, n in (("from", "fromLane"), ("to", "toLane")))
        if first in lanes and last in lanes:
            connector = _read_connector(link, lanes[first], lanes[last], onward, elements)
            connectors[connector.key] = connector
    return connectors


def _read_connector(
    link: ElementTree.Element,
    before: RoadLane,
    after: RoadLane,
    onward: Dict[str, str],
    elements: Dict[str, ElementTree.Element],
) -> RoadConnector:
    parts = [link.attrib["via"]]
    while parts[-1] in onward:
        parts.append(onward[parts[-1]])
    signal = (link.attrib["tl"], int(link.attrib["linkIndex"])) if "tl" in link.attrib else None
    line = drop_repeats(np.vstack([_points(elements[part]) for part in parts]))
    return RoadConnector(
        key=parts[0],
        from_lane=before.key,
        to_lane=after.key,
        junction=parts[0][1:].rsplit("_", 2)[0],
        line=line,
        width=min(before.width, after.width),
        speed_limit=min(float(elements[part].attrib["speed"]) for part in parts),
        signal=signal,
        parts=tuple(parts),
        state=link.get("state", "M"),
    )


def find_lane_elements(edges: Iterable[ElementTree.Element]) -> Dict[str, ElementTree.Element]:
    """The element of every lane, by its id."""
    return {lane.attrib["id"]: lane for edge in edges for lane in edge.iter("lane")}


def _read_junctions(root: ElementTree.Element) -> Dict[str, Polygon]:
    """Area of every junction that has one; SUMO's internal junctions are waiting points, not areas."""
    found: Dict[str, Polygon] = {}
    for junction in root.iter("junction"):
        corners = _parse_shape(junction.get("shape", ""))
        if junction.get("type") != "internal" and len(corners) >= 3:
            area = _largest(shapely.make_valid(Polygon(corners)))
            if area is not None:
                found[junction.attrib["id"]] = area
    return found


def _read_strips(edges: Mapping[str, ElementTree.Element], function: str, user: str) -> Dict[str, Polygon]:
    """Areas of the lanes for `user` (and not for cars) of edges with that function; none: of roads."""
    found: Dict[str, Polygon] = {}
    for edge in edges.values():
        if edge.get("function", "") != function:
            continue
        for lane in edge.iter("lane"):
            if _allows(lane, user) and not _allows(lane, CAR):
                found[lane.attrib["id"]] = widen(drop_repeats(_points(lane)), _width(lane))
    return found


def _read_places(edges: Mapping[str, ElementTree.Element]) -> Dict[str, Polygon]:
    """Areas where pedestrians wait between sidewalks and crossings."""
    found: Dict[str, Polygon] = {}
    for edge in edges.values():
        if edge.get("function") == "walkingarea":
            for lane in edge.iter("lane"):
                corners = _points(lane)
                area = _largest(shapely.make_valid(Polygon(corners))) if len(corners) >= 3 else None
                if area is not None:
                    found[lane.attrib["id"]] = area
    return found


def widen(line: Line, width: float) -> Polygon:
    """The strip of `width` along `line`."""
    sides = np.vstack([offset_line(line, 0.5 * width), offset_line(line, -0.5 * width)[::-1]])
    area = Polygon(sides)
    return area if area.is_valid else shapely.LineString(line).buffer(0.5 * width, cap_style="flat")


def _largest(geometry: shapely.Geometry) -> Optional[Polygon]:
    parts = [part for part in shapely.get_parts(geometry).tolist() if part.geom_type == "Polygon" and part.area > 0]
    if geometry.geom_type == "GeometryCollection":
        parts = [p for part in shapely.get_parts(geometry).tolist() for p in shapely.get_parts(part).tolist()]
        parts = [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    return max(parts, key=lambda part: part.area) if parts else None


def _allows(lane: ElementTree.Element, user: str) -> bool:
    if "allow" in lane.attrib:
        return user in lane.attrib["allow"].split() or lane.attrib["allow"] == "all"
    return user not in lane.get("disallow", "").split() and lane.get("disallow") != "all"


def _width(lane: ElementTree.Element) -> float:
    return float(lane.get("width", "3.2"))  # 3.2 m is SUMO's default, which it does not write


def _points(lane: ElementTree.Element) -> Line:
    return _parse_shape(lane.attrib["shape"])


def _parse_shape(text: str) -> Line:
    return np.array([[float(value) for value in pair.split(",")[:2]] for pair in text.split()], dtype=np.float64)
