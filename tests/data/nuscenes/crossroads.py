"""A hand-made map expansion: a road of two lanes to the east, a left turn to the north, a lane that goes on straight.

```
            north (20, 10)..(20, 60)
              |
 right: y = 0 |  0..10      turn: (10, 0) -> (20, 10), an arc of 10 m
 beside: y = 4, the same way; east: (10, 0)..(60, 0) after `right` without a connector
```
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np

from latentvla_agent.data.maps import CityMap, Lane

LOCATION = "singapore-onenorth"
Row = Dict[str, Any]
Points = Sequence[Tuple[float, float]]
ARC_M = 10.0 * np.pi / 2.0
ENDS = {"right": (10.0, 0.0), "beside": (10.0, 4.0), "east": (60.0, 0.0), "north": (20.0, 60.0)}


def straight(x: float, y: float, heading: float, length: float) -> Row:
    """A piece that does not turn."""
    end = [x + length * np.cos(heading), y + length * np.sin(heading), heading]
    return {
        "start_pose": [x, y, heading],
        "end_pose": end,
        "shape": "LSR",
        "radius": 999.999,
        "segment_length": [0.0, length, 0.0],
    }


class ExpansionMaker:
    """Tables of a map expansion, filled by hand."""

    def __init__(self) -> None:
        names = "polygon line node drivable_area road_segment road_block lane lane_connector ped_crossing walkway"
        more = "stop_line carpark_area road_divider lane_divider traffic_light"
        self.content: Dict[str, Any] = {name: [] for name in (*names.split(), *more.split())}
        self.content.update(arcline_path_3={}, connectivity={}, canvas_edge=[100.0, 100.0], version="1.3")

    def node(self, x: float, y: float) -> str:
        """Token of the node there."""
        token = f"node {x:g} {y:g}"
        if token not in [row["token"] for row in self.content["node"]]:
            self.content["node"].append({"token": token, "x": x, "y": y})
        return token

    def polygon(self, points: Points, *holes: Points) -> str:
        """Token of a new polygon."""
        token = f"polygon {len(self.content['polygon'])}"
        inner = [{"node_tokens": [self.node(*point) for point in hole]} for hole in holes]
        outer = [self.node(*point) for point in points]
        self.content["polygon"].append({"token": token, "exterior_node_tokens": outer, "holes": inner})
        return token

    def box(self, left: float, low: float, right: float, high: float) -> str:
        """Token of a new rectangle."""
        return self.polygon([(left, low), (right, low), (right, high), (left, high)])

    def add(self, table: str, token: str, **values: Any) -> None:
        """A record."""
        self.content[table].append({"token": token, **values})

    def lane(self, token: str, polygon: Any, pieces: List[Row], outgoing: Sequence[str], **dividers: Points) -> None:
        """A lane, with the nodes of its dividers `left` and `right`."""
        sides = {
            f"{side}_lane_divider_segments": [
                {"node_token": self.node(*point), "segment_type": "NIL"} for point in dividers.get(side, ())
            ]
            for side in ("left", "right")
        }
        ends = {"from_edge_line_token": "", "to_edge_line_token": "", "lane_type": "CAR"}
        self.add("lane", token, polygon_token=polygon, **ends, **sides)
        self.way(token, pieces, outgoing)

    def way(self, token: str, pieces: List[Row], outgoing: Sequence[str]) -> None:
        """Centreline of a lane or connector, and what it goes on into."""
        self.content["arcline_path_3"][token] = pieces
        self.content["connectivity"][token] = {"incoming": [], "outgoing": list(outgoing)}

    def write(self, root: Path, location: str = LOCATION) -> Path:
        """Write it below a database's root."""
        path = root / "maps" / "expansion" / f"{location}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.content))
        return path


def make_crossroads() -> ExpansionMaker:
    """The map above, with what real ones have: null tokens, a road block without polygon, links that lead nowhere."""
    maker = ExpansionMaker()
    maker.lane(
        "right",
        maker.box(-40, -2, 10, 2),
        [straight(-40, 0, 0, 50)],
        ["turn", "east", "nowhere", "loose"],
        left=[(-40, 2), (10, 2)],
    )
    maker.lane("beside", maker.box(-40, 2, 10, 6), [straight(-40, 4, 0, 50)], [], right=[(-40, 2), (10, 2)])
    maker.lane("east", maker.box(10, -2, 60, 2), [straight(10, 0, 0, 50)], [])
    maker.lane("north", maker.box(18, 10, 22, 60), [straight(20, 10, np.pi / 2, 50)], [])
    arc = {"start_pose": [10, 0, 0], "shape": "LSR", "radius": 10.0, "segment_length": [ARC_M, 0.0, 0.0]}
    maker.add("lane_connector", "turn", polygon_token=None)
    maker.way("turn", [{**arc, "end_pose": [20, 10, np.pi / 2]}], ["north", ""])
    maker.add("lane_connector", "loose", polygon_token=maker.box(10, -4, 20, 0))
    maker.way("loose", [straight(10, 0, -0.2, 10)], [])
    maker.lane("bare", maker.box(-60, 0, -50, 4), [], [])  # without a centreline
    block = {"from_edge_line_token": "", "to_edge_line_token": "", "road_segment_token": ""}
    maker.add("road_block", "nothing", polygon_token=None, **block)
    maker.add("road_block", "ahead", polygon_token=maker.box(10, -3, 60, 3), **block)
    drivable = maker.polygon([(-60, -5), (70, -5), (70, 70), (-60, 70)], [(-40, 20), (0, 20), (0, 60), (-40, 60)])
    maker.add("drivable_area", "all", polygon_tokens=[None, drivable])
    maker.content["polygon"].append({"token": None, "exterior_node_tokens": [], "holes": []})
    maker.add("road_segment", "junction", polygon_token=maker.box(10, -5, 25, 10), is_intersection=True)
    maker.add("road_segment", "road", polygon_token=maker.box(-40, -2, 10, 6), is_intersection=False)
    maker.add("carpark_area", "park", polygon_token=maker.box(72, 0, 80, 10), orientation=None, road_block_token="")
    maker.add("ped_crossing", "zebra", polygon_token=maker.box(5, -2, 8, 2), road_segment_token=None)
    maker.add("walkway", "walk", polygon_token=maker.box(-40, -8, 10, -5))
    return maker


def lanes_by_name(city_map: CityMap) -> Dict[str, Lane]:
    """Lanes of the map that is made of it, by the names of `ENDS`, where they end."""
    lanes = [city_map.lane(row, False) for row in range(len(city_map.layer("lanes_polygons").ids))]
    found = {}
    for lane in lanes:
        end = lane.states[-1, :2]
        found[min(ENDS, key=lambda name: float(np.hypot(*(end - ENDS[name]))))] = lane
    return found
