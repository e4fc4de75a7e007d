"""Data scripts: plain ASCII calls that nothing in a file can leave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latentvla_agent.viewer.shown_runs import read_runs
from latentvla_agent.viewer.site_data import describe_site, pack_agent, scene_path, write_script
from tests.evaluation.comparison_files import TOKENS, make_scores, write_run
from tests.evaluation.test_report import HOSTILE
from tests.viewer.test_columns import unpack


def read_script(content: bytes) -> Any:
    """Kind, key and value of a script."""
    text = content.decode("ascii")
    assert text.startswith("receive(") and text.endswith(");\n") and text.count("\n") == 1
    return json.loads(f"[{text[len('receive('):-3]}]")


def test_a_script_is_one_call_in_ascii() -> None:
    value = {HOSTILE: '");alert(1);("', "line": "a\u2028b\n"}
    assert read_script(write_script("scene", "7", value)) == ["scene", "7", value]


def test_scenes_lie_in_folders_of_a_size() -> None:
    assert [scene_path(number, "js") for number in (0, 499, 12000)] == [
        "scenes/000/0.js",
        "scenes/000/499.js",
        "scenes/024/12000.js",
    ]


def test_a_site_is_described(tmp_path: Path) -> None:
    runs = read_runs([write_run(tmp_path / "run", {"a": make_scores(), HOSTILE: make_scores(0.1)})])
    site = describe_site(runs, {"fog": [0, 3]}, ["a note"])
    assert site["title"] == "PDMS of 2 agents on dev" and site["facts"] == "pdms-v1.1, embedded scorer"
    assert site["tokens"] == TOKENS and site["logs"] == [f"log-{i}" for i in range(4)] and site["drawn"]
    assert unpack(site["logOf"]) == [i // 5 for i in range(20)]
    assert [agent["file"] for agent in site["agents"]] == ["agents/0.js", "agents/1.js"]
    assert site["tags"][0][0] == "fog" and site["columns"][0] == {"short": "NC", "long": "no at fault collisions"}


def test_failed_scenes_have_an_error_and_no_sub_scores(tmp_path: Path) -> None:
    scores = {**make_scores(), TOKENS[1]: None}
    runs = read_runs([write_run(tmp_path / "run", {"a": scores})])
    packed = pack_agent(runs.first, TOKENS)
    assert unpack(packed["error"])[:3] == [None, "ValueError: no", None]
    assert unpack(packed["score"])[:2] == [scores[TOKENS[0]], 0.0]
    assert unpack(packed["subScores"][0])[:2] == [scores[TOKENS[0]], None]


def test_infractions_are_steps(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": make_scores()})
    lines = (run / "scores.csv").read_text().splitlines()
    header = lines[0].split(",")
    cells = lines[1].rsplit(",", len(header) - header.index("collision_idx"))
    lines[1] = ",".join([cells[0], "12", "", "7", *cells[4:]])
    (run / "scores.csv").write_text("\n".join(lines) + "\n")
    packed = pack_agent(read_runs([run]).first, TOKENS)
    assert [unpack(packed[name])[0] for name in ("collision", "ttc", "offRoad")] == [12, None, 7]
