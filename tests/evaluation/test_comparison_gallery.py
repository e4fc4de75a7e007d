"""Cards of differing scenes: both agents with what they lost; whatever comes from files is escaped."""

from __future__ import annotations

from typing import Any, Dict

from latentvla_agent.evaluation.comparison_examples import MAX_PAIRS
from latentvla_agent.evaluation.comparison_gallery import write_examples
from latentvla_agent.evaluation.comparison_pictures import ExamplePicture, ExamplePictures
from tests.evaluation.test_report import HOSTILE, Reader


def make_example(a: str, b: str, token: str, difference: float) -> Dict[str, Any]:
    """b loses comfort and progress, a progress alone."""
    return {
        **{"a": a, "b": b, "token": token, "log": f"log of {token}", "difference": difference},
        **{"score_a": 0.5 + difference / 2.0, "score_b": 0.5 - difference / 2.0},
        "sub_scores_a": {"no_at_fault_collisions": 1.0, "ego_progress": 0.8, "comfort": 1.0},
        "sub_scores_b": {"no_at_fault_collisions": 1.0, "ego_progress": 0.4, "comfort": 0.0},
    }


def write(*examples: Dict[str, Any], pictures: Any = None, pairs: int = 1) -> str:
    """The section of agents x and y."""
    agents = [{"agent": name} for name in dict.fromkeys(e[side] for e in examples for side in ("a", "b"))]
    comparison = {"largest_differences": list(examples), "agents": agents, "differences": [None] * pairs}
    return write_examples(comparison, pictures or ExamplePictures())


def test_sub_scores_that_one_of_the_two_lost_are_shown_of_both() -> None:
    text = " ".join(Reader(write(make_example("x", "y", "t1", 0.4), make_example("x", "y", "t2", -0.2))).text.split())
    assert "x ahead of y x 70.0 · EP 80.0, C 100.0y 30.0 · EP 40.0, C 0.0t1 log of t1" in text
    assert "y ahead of x x 40.0 · " in text and "NC" not in text


def test_a_failed_agent_is_said_to_have_failed() -> None:
    example = {**make_example("x", "y", "t", 0.9), "sub_scores_b": {}}
    assert "y 5.0 · failed" in Reader(write(example)).text


def test_pictures_belong_to_their_pair_and_scene() -> None:
    pictures = {("x", "y", "t"): ExamplePicture("<svg></svg>", "data:image/jpeg;base64,AAAA")}
    examples = make_example("x", "y", "t", 0.4), make_example("x", "y", "other", 0.3)
    html = write(*examples, pictures=ExamplePictures(pictures, ("a note",)))
    assert html.count("<svg></svg>") == 1 and html.count('<img src="data:image/jpeg;base64,AAAA"') == 1
    assert "a note" in html and 'class="legend"' in html
    assert 'class="legend"' not in write(*examples), "nothing is drawn"


def test_nothing_hostile_gets_through_and_pairs_left_out_are_said() -> None:
    html = write(make_example(HOSTILE, "y", HOSTILE, 0.4), pairs=MAX_PAIRS + 1)
    reader = Reader(html)
    assert "script" not in reader.tags and "img" not in reader.tags and f"{HOSTILE} ahead of y" in reader.text
    assert "Only the first 15 of 16 pairs" in reader.text


def test_no_differences_no_section() -> None:
    assert write() == ""
