"""A small OpenDRIVE file for the tests: a straight, a narrower bend and another straight, one lane each way."""

from __future__ import annotations

import math

RADIUS_M = 60.0
STRAIGHT_M = 120.0

LANE = """<lane id="{id}" type="driving" level="false"><link>{link}</link>
<width sOffset="0" a="{width}" b="0" c="0" d="0"/></lane>"""


def write_bend() -> str:
    """The file's text."""
    arc = 0.5 * math.pi * RADIUS_M
    end = (STRAIGHT_M + RADIUS_M, RADIUS_M)
    roads = [
        _road(1, 3.5, (0.0, 0.0, 0.0), STRAIGHT_M, "<line/>", successor=2),
        _road(2, 3.2, (STRAIGHT_M, 0.0, 0.0), arc, f'<arc curvature="{1.0 / RADIUS_M}"/>', predecessor=1, successor=3),
        _road(3, 3.5, (*end, 0.5 * math.pi), STRAIGHT_M, "<line/>", predecessor=2),
    ]
    header = '<header revMajor="1" revMinor="4" name="" version="1.00" north="0" south="0" east="0" west="0"/>'
    return "\n".join(['<?xml version="1.0" standalone="yes"?>', "<OpenDRIVE>", header, *roads, "</OpenDRIVE>", ""])


def _road(key: int, width: float, pose: "tuple[float, float, float]", length: float, shape: str, **links: int) -> str:
    x, y, heading = pose
    contact = {"predecessor": "end", "successor": "start"}
    road_links = "".join(
        f'<{name} elementType="road" elementId="{other}" contactPoint="{contact[name]}"/>'
        for name, other in links.items()
    )
    lanes = [
        LANE.format(id=lane, width=width, link="".join(f'<{name} id="{lane}"/>' for name in links)) for lane in (1, -1)
    ]
    return f"""<road name="" length="{length}" id="{key}" junction="-1"><link>{road_links}</link>
<planView><geometry s="0" x="{x}" y="{y}" hdg="{heading}" length="{length}">{shape}</geometry></planView>
<lanes><laneSection s="0"><left>{lanes[0]}</left><center><lane id="0" type="none" level="false"/></center>
<right>{lanes[1]}</right></laneSection></lanes></road>"""
