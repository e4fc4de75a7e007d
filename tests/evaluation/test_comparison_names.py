"""Names of agents, of their seeds, and of the files that hold them."""

from __future__ import annotations

from pathlib import Path
from typing import Optional, Tuple

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.comparison_names import name_agent, split_argument, split_seed


@pytest.mark.parametrize(
    "name, expected",
    [
        ("ipad-seed0", ("ipad", 0)),
        ("ipad_seed-12", ("ipad", 12)),
        ("ipad.seed_3", ("ipad", 3)),
        ("ipad_blind-seed1", ("ipad_blind", 1)),
        ("birdseed1", ("birdseed1", None)),
        ("seed1", ("seed1", None)),
        ("ipad-seed", ("ipad-seed", None)),
        ("ipad-seed1-b", ("ipad-seed1-b", None)),
    ],
)
def test_a_name_may_say_its_seed(name: str, expected: Tuple[str, Optional[int]]) -> None:
    assert split_seed(name) == expected


def test_an_argument_is_a_path_or_a_name_and_a_path(tmp_path: Path) -> None:
    assert split_argument("runs/a") == ("", Path("runs/a")) and split_argument("a=runs/b") == ("a", Path("runs/b"))
    odd = tmp_path / "a=b.csv"
    odd.write_text("")
    assert split_argument(str(odd)) == ("", odd), "a file that is there is no name"
    for argument in ("=path", "name="):
        with pytest.raises(ConfigError, match="expected PATH or NAME=PATH"):
            split_argument(argument)


def test_folders_that_navsim_calls_by_the_time_name_nobody(tmp_path: Path) -> None:
    assert name_agent(tmp_path / "mine" / "2026.11.25.18.47.43" / "2026.11.25.18.48.46.csv") == "mine"
    assert name_agent(Path("theirs.csv")) == "theirs"
