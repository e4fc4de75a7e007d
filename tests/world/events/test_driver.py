"""The driver brakes in time, comfortably, and swerves without a jump; against a stand-in for SUMO."""

from __future__ import annotations

from types import SimpleNamespace
from typing import List, Tuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.world.events.config import DriverSettings
from latentvla_agent.world.events.driver import Driver, Obstacle

STEP_S = 0.1
SETTINGS = DriverSettings()


class StandIn:
    """One vehicle on a straight road that drives at `wish` unless told otherwise."""

    def __init__(self, speed: float) -> None:
        self.wish = speed
        self.speed = speed
        self.distance = 0.0
        self.left = 0.0
        self.told = -1.0
        self.vehicle = SimpleNamespace(
            getSpeed=lambda key: self.speed,
            getAcceleration=lambda key: 0.0,
            getDistance=lambda key: self.distance,
            getSpeedWithoutTraCI=lambda key: min(self.wish, self.speed + 0.2),
            setSpeed=self.tell,
            setLateralLanePosition=self.push,
        )

    def tell(self, key: str, speed: float) -> None:
        self.told = speed

    def push(self, key: str, left: float) -> None:
        self.left = left

    def step(self) -> None:
        self.speed = self.told if self.told >= 0.0 else min(self.wish, self.speed + 0.2)
        self.distance += STEP_S * self.speed


def approach(speed: float, gap: float, seconds: float = 20.0) -> Tuple[StandIn, np.ndarray]:
    sumo, driver = StandIn(speed), Driver("ego_0", SETTINGS)
    speeds: List[float] = []
    for _ in range(int(seconds / STEP_S)):
        driver.drive(sumo, [Obstacle(gap - sumo.distance)])
        sumo.step()
        speeds.append(sumo.speed)
    return sumo, np.array(speeds)


@settings(max_examples=30, deadline=None)
@given(st.floats(4.0, 15.0), st.floats(1.3, 4.0))
def test_it_stops_before_an_obstacle_within_comfort(speed: float, spare: float) -> None:
    gap = SETTINGS.standstill_gap + speed**2 / (2.0 * 2.6) + spare * speed
    sumo, speeds = approach(speed, gap)
    decels = -np.diff(speeds) / STEP_S
    assert speeds[-1] < 0.15
    assert gap - 6.0 < sumo.distance < gap - 1.5
    assert decels.max() < 3.4
    assert np.abs(np.diff(decels)).max() / STEP_S < SETTINGS.emergency_jerk


def test_it_drives_on_when_the_obstacle_is_gone() -> None:
    sumo, driver = StandIn(8.0), Driver("ego_0", SETTINGS)
    for step in range(120):
        driver.drive(sumo, [Obstacle(22.0 - sumo.distance)] if step < 40 else [])
        sumo.step()
    assert sumo.told == -1.0 and sumo.speed == pytest.approx(8.0)
    assert not driver.braking


def test_a_swerve_is_smooth_and_ends_where_it_should() -> None:
    sumo, driver = StandIn(6.0), Driver("ego_0", SETTINGS)
    driver.swerve(sumo, 1.5, 15.0)
    lefts = []
    for _ in range(40):
        driver.drive(sumo)
        sumo.step()
        lefts.append(sumo.left)
    assert lefts[-1] == pytest.approx(1.5)
    assert np.diff(lefts).max() < 0.15 and np.diff(lefts).min() > -1e-9


@pytest.mark.parametrize("start_decel", [1.7, 2.2])
def test_whoever_creeps_stops_even_if_braking_begins_late(start_decel: float) -> None:
    """The last metre takes less deceleration than it may take to begin to brake."""
    sumo, driver = StandIn(1.0), Driver("ego_0", SETTINGS)
    for _ in range(50):
        driver.drive(sumo, [Obstacle(4.0 - sumo.distance)], start_decel)
        sumo.step()
    assert sumo.speed < 0.1 and sumo.distance < 1.8
