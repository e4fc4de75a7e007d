"""NAVSIM's own TransFuser and ours: as many parameters, equal outputs and losses from equal weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.real_devkits import find_real_devkits, run_in_devkit

pytestmark = pytest.mark.navsim


@pytest.mark.parametrize("options", [[], ["--latent"]], ids=["lidar", "latent"])
def test_equal_weights_give_equal_outputs_and_losses(options: list) -> None:
    script = Path(__file__).with_name("transfuser_in_devkit.py")
    for devkit in find_real_devkits():
        found = json.loads(run_in_devkit(devkit, [script, *options]).splitlines()[-1])
        theirs, ours = found["parameters"]
        assert theirs == ours > 5e7
        assert max(found["differences"].values()) < 1e-4, found
        assert found["losses"][1] == pytest.approx(found["losses"][0], rel=1e-5)
