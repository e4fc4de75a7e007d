"""The formulas of the totals."""

from __future__ import annotations

from typing import Optional

import numpy as np
import pytest

from latentvla_agent.scoring.aggregation import aggregate
from latentvla_agent.scoring.config import WeightConfig
from latentvla_agent.scoring.kernels import SubScore
from latentvla_agent.scoring.rollouts import Rollouts
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import V1, V2, Rules

RNG = np.random.default_rng(11)
VALUES = RNG.choice([0.0, 0.5, 1.0], (200, len(SubScore)))
PROGRESS = RNG.random(200)


def total(rules: Rules, extended_comfort: Optional[FloatArray] = None) -> FloatArray:
    rollouts = Rollouts(
        np.empty((200, 41, 11)),
        VALUES,
        np.empty((200, 7), dtype=np.int64),
        np.empty(200, dtype=np.int64),
        np.empty((200, 2, 41), dtype=np.bool_),
    )
    return aggregate(VALUES, rollouts.multiplier(rules), PROGRESS, WeightConfig(), rules, extended_comfort)


def column(name: str) -> FloatArray:
    values: FloatArray = VALUES[:, SubScore[name]]
    return values


def test_pdms() -> None:
    """NC DAC (5 EP + 5 TTC + 2 C) / 12: driving direction has no weight."""
    weighted = 5.0 * PROGRESS + 5.0 * column("TIME_TO_COLLISION") + 2.0 * column("COMFORT")
    expected = column("COLLISION") * column("DRIVABLE_AREA") * weighted / 12.0
    np.testing.assert_allclose(total(V1), expected, rtol=0.0, atol=1e-15)


def epdms(extended_comfort: float, weight: float) -> FloatArray:
    product = column("COLLISION") * column("DRIVABLE_AREA") * column("DRIVING_DIRECTION") * column("TRAFFIC_LIGHT")
    weighted = 5.0 * PROGRESS + 5.0 * column("TIME_TO_COLLISION") + 2.0 * column("LANE_KEEPING")
    weighted = weighted + 2.0 * column("COMFORT") + 2.0 * extended_comfort
    expected: FloatArray = product * weighted / weight
    return expected


@pytest.mark.parametrize("extended_comfort", [0.0, 1.0])
def test_epdms_with_a_predecessor(extended_comfort: float) -> None:
    """NC DAC TLC DDC (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16."""
    found = total(V2, np.full(200, extended_comfort))
    np.testing.assert_allclose(found, epdms(extended_comfort, 16.0), rtol=0.0, atol=1e-15)


def test_epdms_without_a_predecessor() -> None:
    """The same without EC, / 14: as NaN or left out altogether."""
    np.testing.assert_allclose(total(V2), epdms(0.0, 14.0), rtol=0.0, atol=1e-15)
    assert np.array_equal(total(V2, np.full(200, np.nan)), total(V2))


def test_entries_with_and_without_a_predecessor_mix() -> None:
    mixed = np.where(np.arange(200) % 2 == 0, np.nan, 1.0)
    expected = np.where(np.isnan(mixed), total(V2), total(V2, np.ones(200)))
    assert np.array_equal(total(V2, mixed), expected)


@pytest.mark.parametrize("rules", [V1, V2], ids=["v1", "v2"])
def test_all_ones_are_exactly_one(rules: Rules) -> None:
    ones = np.ones((3, len(SubScore)))
    assert aggregate(ones, ones[:, 0], ones[:, 0], WeightConfig(), rules).tolist() == [1.0] * 3
    if rules is V2:
        assert aggregate(ones, ones[:, 0], ones[:, 0], WeightConfig(), rules, ones[:, 0]).tolist() == [1.0] * 3
