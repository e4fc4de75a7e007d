"""Road networks for SUMO: a street plan, or an OpenDRIVE file, through netconvert to `town.net.xml`."""

from __future__ import annotations

import math
import os
import tempfile
from pathlib import Path
from typing import Dict, Iterable, List
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from latentvla_agent.errors import DataError
from latentvla_agent.world.roads.config import NetworkConfig
from latentvla_agent.world.roads.lanes import find_car_lanes
from latentvla_agent.world.roads.smoothing import smooth_network
from latentvla_agent.world.roads.street_plan import Street, StreetPlan, narrow_streets, plan_streets
from latentvla_agent.world.roads.topology import draw_topology
from latentvla_agent.world.sumo import MAX_SEED, run_program

NET_NAME = "town.net.xml"
HEADER = b'<?xml version="1.0" encoding="UTF-8"?>\n'


def make_network(config: NetworkConfig, folder: Path) -> Path:
    """Write `folder/town.net.xml` and return its path; the same bytes for the same configuration.

    Raises:
        DataError: SUMO is missing, or the network can't be built or leaves [0, extent]^2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".network-") as name:
        root = _import_opendrive(config, Path(name)) if config.kind == "opendrive" else _build_plan(config, Path(name))
        smooth_network(root, config)
        _check_extent(root, config)
        made = Path(name) / NET_NAME
        # The parser has dropped the comment with the date and the command line.
        made.write_bytes(HEADER + ElementTree.tostring(root, encoding="utf-8") + b"\n")
        path = folder / NET_NAME
        os.replace(made, path)
    return path


def _import_opendrive(config: NetworkConfig, work: Path) -> ElementTree.Element:
    path = Path(str(config.opendrive)).resolve()
    if not path.is_file():
        raise DataError(f"{path}: OpenDRIVE file not found")
    files = ["--opendrive-files", str(path), "--geometry.remove"]  # sections of one road become one edge
    in_place = _convert([*files, "--offset.disable-normalization"], config, work)
    west, south = _read_extent(in_place, config)[:2]
    offset = ["--offset.x", f"{config.margin_m - west}", "--offset.y", f"{config.margin_m - south}"]
    return _convert([*files, *offset], config, work)


def _build_plan(config: NetworkConfig, work: Path) -> ElementTree.Element:
    """Plan and convert; streets with lanes that no connector leaves lose them, and the network is built again."""
    rng = np.random.Generator(np.random.PCG64(config.seed))
    plan = plan_streets(draw_topology(config, rng, work), config, rng)
    for _ in range(config.junctions.narrowing_rounds):
        files = _write_plan(plan, config, work)
        root = _convert(files, config, work)
        blocked = count_blocked_lanes(root)
        if not blocked:
            break
        plan = narrow_streets(plan, blocked)
    west, south = _read_extent(root, config)[:2]
    if min(west, south) >= 0.0:
        return root
    # A bend leads out beyond the outermost junctions and the margin around them.
    x, y = (math.ceil(config.margin_m - end) if end < 0.0 else 0 for end in (west, south))
    return _convert([*files, "--offset.x", str(x), "--offset.y", str(y)], config, work)


def count_blocked_lanes(root: ElementTree.Element) -> Dict[str, int]:
    """Lanes for cars without a way on, by edge; edges that end outright don't count."""
    lanes = find_car_lanes(root)
    known = {key for keys in lanes.values() for key in keys}
    left = {
        f"{link.attrib['from']}_{link.attrib['fromLane']}"
        for link in root.iter("connection")
        if f"{link.attrib['to']}_{link.attrib['toLane']}" in known
    }
    counts = {edge: sum(key not in left for key in keys) for edge, keys in lanes.items()}
    return {edge: count for edge, count in counts.items() if 0 < count < len(lanes[edge])}


def _write_plan(plan: StreetPlan, config: NetworkConfig, work: Path) -> List[str]:
    (work / "plan.nod.xml").write_text(_nodes_xml(plan, config), encoding="utf-8")
    (work / "plan.edg.xml").write_text(_edges_xml(plan, config), encoding="utf-8")
    files = ["--node-files", "plan.nod.xml", "--edge-files", "plan.edg.xml"]
    return [*files, "--offset.disable-normalization", "--crossings.guess", "--walkingareas"]


def _convert(arguments: List[str], config: NetworkConfig, work: Path) -> ElementTree.Element:
    run_program("netconvert", [*arguments, *_options(config), "--output-file", NET_NAME], work)
    return ElementTree.parse(work / NET_NAME).getroot()


def _options(config: NetworkConfig) -> List[str]:
    junctions = config.junctions
    return [
        *("--xml-validation", "never"),
        *("--precision", str(config.precision)),
        *("--seed", str(config.seed & MAX_SEED)),
        *("--no-turnarounds", "--tls.discard-simple"),
        *("--default.junctions.radius", str(junctions.corner_radius_m)),
        *("--junctions.internal-link-detail", str(junctions.detail)),
        *("--junctions.corner-detail", str(junctions.detail)),
        *("--junctions.limit-turn-speed", str(junctions.turn_acceleration)),
    ]


def _nodes_xml(plan: StreetPlan, config: NetworkConfig) -> str:
    digits = config.precision
    rows = [
        f'<node id={quoteattr(j.key)} x="{j.place[0]:.{digits}f}" y="{j.place[1]:.{digits}f}" type="{j.kind}"/>'
        for j in plan.junctions.values()
    ]
    return _document("nodes", rows)


def _edges_xml(plan: StreetPlan, config: NetworkConfig) -> str:
    rows: List[str] = []
    for street in plan.streets:
        rows.append(_edge_xml(street, street.key, True, config))
        if street.backward:
            rows.append(_edge_xml(street, f"-{street.key}", False, config))
    ends = {street.key: street.start for street in plan.streets}
    for ring in plan.rings:
        nodes = " ".join(ends[key] for key in ring)
        rows.append(f'<roundabout nodes={quoteattr(nodes)} edges={quoteattr(" ".join(ring))}/>')
    return _document("edges", rows)


def _edge_xml(street: Street, key: str, forward: bool, config: NetworkConfig) -> str:
    start, end, line = (street.start, street.end, street.line)
    if not forward:
        start, end, line = end, start, line[::-1]
    shape = " ".join(f"{x:.{config.precision}f},{y:.{config.precision}f}" for x, y in line.tolist())
    lanes = street.forward if forward else street.backward
    parts = [
        f"id={quoteattr(key)} from={quoteattr(start)} to={quoteattr(end)}",
        f'numLanes="{lanes}" speed="{street.speed}" width="{street.width}" priority="{street.priority}"',
        f'spreadType="{"right" if street.backward else "center"}" shape="{shape}" disallow="pedestrian"',
    ]
    if street.sidewalk:
        parts.append(f'sidewalkWidth="{config.streets.sidewalk_m}"')
    if street.bicycle_lane:
        parts.append(f'bikeLaneWidth="{config.streets.bicycle_lane_m}"')
    return f"<edge {' '.join(parts)}/>"


def _document(name: str, rows: Iterable[str]) -> str:
    return "\n".join([f"<{name}>", *rows, f"</{name}>", ""])


def _check_extent(root: ElementTree.Element, config: NetworkConfig) -> None:
    box = _read_extent(root, config)
    if min(box) < 0.0 or max(box) > config.extent_m:
        raise DataError(
            f"network of kind {config.kind}, seed {config.seed}: expected inside [0, {config.extent_m}]^2, got {box}"
        )


def _read_extent(root: ElementTree.Element, config: NetworkConfig) -> List[float]:
    """West, south, east and north end."""
    location = root.find("location")
    if location is None:
        raise DataError(f"netconvert's network of kind {config.kind}, seed {config.seed}, has no element location")
    return [float(value) for value in location.attrib["convBoundary"].split(",")]
