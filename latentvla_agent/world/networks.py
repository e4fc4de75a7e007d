"""Road networks for SUMO: a street plan, or an OpenDRIVE file, through netconvert to `town.net.xml`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Iterable, List
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from latentvla_agent.errors import DataError
from latentvla_agent.world.network_config import NetworkConfig
from latentvla_agent.world.street_plan import Street, StreetPlan, plan_streets
from latentvla_agent.world.sumo import run_program
from latentvla_agent.world.topology import draw_topology

NET_NAME = "town.net.xml"


def make_network(config: NetworkConfig, folder: Path) -> Path:
    """Write `folder/town.net.xml` and return its path; the same bytes for the same configuration.

    Raises:
        DataError: SUMO is missing, or the network can't be built or leaves [0, extent]^2.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".network-") as name:
        work = Path(name)
        arguments = _import_opendrive(config) if config.kind == "opendrive" else _write_plan(config, work)
        run_program("netconvert", [*arguments, *_options(config), "--output-file", NET_NAME], work)
        net = _strip_history(work / NET_NAME)
    _check_extent(net, config)
    path = folder / NET_NAME
    path.write_bytes(net)
    return path


def _import_opendrive(config: NetworkConfig) -> List[str]:
    path = Path(str(config.opendrive)).resolve()
    if not path.is_file():
        raise DataError(f"{path}: OpenDRIVE file not found")
    margin = str(config.margin_m)
    return ["--opendrive-files", str(path), "--offset.x", margin, "--offset.y", margin]


def _write_plan(config: NetworkConfig, work: Path) -> List[str]:
    rng = np.random.Generator(np.random.PCG64(config.seed))
    plan = plan_streets(draw_topology(config, rng, work), config, rng)
    (work / "plan.nod.xml").write_text(_nodes_xml(plan, config), encoding="utf-8")
    (work / "plan.edg.xml").write_text(_edges_xml(plan, config), encoding="utf-8")
    files = ["--node-files", "plan.nod.xml", "--edge-files", "plan.edg.xml"]
    return [*files, "--offset.disable-normalization", "--crossings.guess", "--walkingareas"]


def _options(config: NetworkConfig) -> List[str]:
    junctions = config.junctions
    return [
        *("--xml-validation", "never"),
        *("--precision", str(config.precision)),
        *("--seed", str(config.seed)),
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


def _strip_history(path: Path) -> bytes:
    """The network without the comment that holds the date and the command line."""
    root = ElementTree.parse(path).getroot()  # the parser drops comments
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="utf-8") + b"\n"


def _check_extent(net: bytes, config: NetworkConfig) -> None:
    location = ElementTree.fromstring(net).find("location")
    if location is None:
        raise DataError(f"netconvert's network of kind {config.kind}, seed {config.seed}, has no element location")
    box = [float(value) for value in location.attrib["convBoundary"].split(",")]
    if min(box) < 0.0 or max(box) > config.extent_m:
        raise DataError(
            f"network of kind {config.kind}, seed {config.seed}: expected inside [0, {config.extent_m}]^2, got {box}"
        )
