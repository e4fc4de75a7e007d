"""Collects raw samples of a running simulation; smooth tracks are made of them afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import ModuleType
from typing import Container, Dict, List, Tuple

from latentvla_agent.errors import DataError
from latentvla_agent.world.traffic.config import TrafficConfig, VehicleKind
from latentvla_agent.world.traffic.recording import EGO_TYPE


@dataclass
class Prop:
    """An actor that SUMO doesn't drive: states (x, y, heading, speed) of its box centre from `first_step` on."""

    key: str
    name: str
    model: str
    size: Tuple[float, float, float]
    first_step: int
    state: Tuple[float, float, float, float]
    states: List[Tuple[float, float, float, float]] = field(default_factory=list)


@dataclass
class Trace:
    """Raw samples of one road user from `first_step` on: SUMO's point (front bumper, or a person's middle).

    `start_angle` is SUMO's angle of the first sample in degrees from north; `lanes` are only kept of egos.
    """

    key: str
    kind: VehicleKind
    first_step: int
    start_angle: float
    points: List[Tuple[float, float]] = field(default_factory=list)
    lanes: List[str] = field(default_factory=list)


class Capture:
    """Samples everybody in every step, and the traffic lights in the steps of the recording."""

    def __init__(self, sumo: ModuleType, config: TrafficConfig) -> None:
        self.traces: Dict[str, Trace] = {}
        self.lights: Dict[str, List[str]] = {key: [] for key in sorted(sumo.trafficlight.getIDList())}
        self._sumo = sumo
        kinds = (*config.kinds, config.ego, config.bicycle, config.adult, config.child)
        self._kinds = {kind.model: kind for kind in kinds}

    def observe(self, step: int, hidden: Container[str] = ()) -> None:
        """Sample the state after a simulation step; who is hidden does not begin to be sampled."""
        for domain in (self._sumo.vehicle, self._sumo.person):
            for key in domain.getIDList():
                if key in hidden and key not in self.traces:
                    continue
                trace = self.traces.get(key) or self._begin_trace(domain, key, step)
                trace.points.append(domain.getPosition(key))
                if trace.kind.model == EGO_TYPE:
                    trace.lanes.append(domain.getLaneID(key))
        if step >= 0:
            for key, states in self.lights.items():
                states.append(self._sumo.trafficlight.getRedYellowGreenState(key))

    def drop(self, hidden: Container[str]) -> None:
        """Forget all samples of these keys."""
        self.traces = {key: trace for key, trace in self.traces.items() if key not in hidden}

    def _begin_trace(self, domain: ModuleType, key: str, step: int) -> Trace:
        model = domain.getTypeID(key).split("_")[0].split("@")[0]
        if model not in self._kinds:
            raise DataError(f"{key}: expected a type of {sorted(self._kinds)}, got {domain.getTypeID(key)!r}")
        self.traces[key] = Trace(key, self._kinds[model], step, domain.getAngle(key))
        return self.traces[key]

    def signals(self) -> Dict[Tuple[str, int], str]:
        """Per traffic light and link the letters of all steps."""
        return {
            (key, link): "".join(state[link] for state in states)
            for key, states in self.lights.items()
            for link in range(len(states[0]) if states else 0)
        }
