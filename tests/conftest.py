"""What tests of several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.data.two_stage_set import TwoStageSet


@pytest.fixture(scope="session")
def two_stage_set(tmp_path_factory: pytest.TempPathFactory) -> TwoStageSet:
    """A miniature two-stage split, not to be changed."""
    from tests.data.two_stage_pickles import save_with_stand_ins  # here: most tests don't need the libraries
    from tests.data.two_stage_set import write_two_stage_set

    return write_two_stage_set(tmp_path_factory.mktemp("two-stage") / "set", save_with_stand_ins)
