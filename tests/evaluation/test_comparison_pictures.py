"""Pictures of differing scenes: drawn of what the runs left, and a note wherever something is missing."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import List

import numpy as np
import PIL.Image
import pytest

from latentvla_agent.data.scene_loader import SceneLoader
from latentvla_agent.data.sensor_files import write_image
from latentvla_agent.evaluation.comparison_page import render_comparison
from latentvla_agent.evaluation.comparison_pictures import PHOTO_WIDTH, ExamplePictures, paint_examples, shrink
from tests.evaluation.comparison_files import write_plans, write_stock
from tests.evaluation.comparison_runs import AGENTS, Runs, make_prediction, paint
from tests.evaluation.test_report import Reader


def test_both_directions_are_drawn_with_every_seed(runs: Runs) -> None:
    comparison, drawn = paint(runs.folder)
    assert [agent["agent"] for agent in comparison["agents"]] == ["fast", "slow"]
    tokens = [ref.token for ref in runs.index.refs]
    assert sorted(drawn.pictures) == sorted(("fast", "slow", token) for token in tokens)
    for picture in drawn.pictures.values():
        assert picture.svg.count('class="side"') == 2 and picture.svg.count("h0") == 8 + 16
        assert 'class="human"' in picture.svg and picture.photo == ""
    assert drawn.notes == ("no front camera picture on this disk in 2 of 2 scenes",)
    html = render_comparison(comparison, drawn)
    text = " ".join(Reader(html).text.split())
    assert "fast ahead of slow" in text and "fast 90.0 · NC 90.0" in text and "slow 15.0 · NC 15.0" in text
    assert "slow ahead of fast" in text and "fast 20.0 · " in text and "slow 55.0 · " in text
    assert html.count('<svg class="bev" ') == 2 and "no front camera picture on this disk in 2 of 2 scenes" in text


def test_the_front_camera_is_shown_where_it_is_there(runs: Runs) -> None:
    ref = runs.index.refs[0]
    frame = SceneLoader(runs.index).build(ref).current_frame
    path = runs.sensors / ref.log_path.parent.name / frame.sensors["cams"]["CAM_F0"]["data_path"]
    write_image(path, np.full((540, 960, 3), 200, np.uint8))
    comparison, drawn = paint(runs.folder)
    photo = drawn.pictures[("fast", "slow", ref.token)].photo
    head, _, content = photo.partition(",")
    assert head == "data:image/jpeg;base64"
    with PIL.Image.open(io.BytesIO(base64.b64decode(content))) as picture:
        assert picture.size == (PHOTO_WIDTH, 248)
    assert drawn.notes == ("no front camera picture on this disk in 1 of 2 scenes",)
    html = render_comparison(comparison, drawn)
    assert html.count("<img ") == 1 and Reader(html).tags.count("img") == 1
    path.write_bytes(b"no JPEG")
    assert any("not a readable picture" in note for note in paint(runs.folder)[1].notes)


def test_agents_of_navsim_have_no_pictures_and_it_is_said(runs: Runs, tmp_path: Path) -> None:
    tokens = [ref.token for ref in runs.index.refs]
    summary = json.loads((runs.folder / "summary.json").read_text())
    (runs.folder / "summary.json").write_text(json.dumps({**summary, "scorer": "official"}))
    stock = write_stock(tmp_path / "theirs.csv", dict(zip(tokens, (0.5, 0.4))))
    comparison, drawn = paint(runs.folder, stock)
    assert {key[:2] for key in drawn.pictures} == {("fast", "slow")}
    assert "no pictures of theirs: a CSV of NAVSIM holds no plans" in drawn.notes
    text = Reader(render_comparison(comparison, drawn)).text
    assert "fast ahead of theirs" in text and "holds no plans" in text, "scores are shown all the same"


@pytest.mark.parametrize(
    "fault, note",
    [
        ("journal", "predictions.journal: cannot be read"),
        ("logs", "no pictures: "),
        ("split", "does not say where the scenes lie (KeyError: 'num_future_frames')"),
        ("map", "no picture of scene "),
    ],
)
def test_what_is_missing_is_a_note(runs: Runs, fault: str, note: str, tmp_path: Path) -> None:
    summary = json.loads((runs.folder / "summary.json").read_text())
    if fault == "journal":
        (runs.folder / "predictions.journal").unlink()
    elif fault == "logs":
        summary["split"]["log_folder"] = str(tmp_path / "gone")
    elif fault == "split":
        del summary["split"]["scene_filter"]["num_future_frames"]
    else:
        summary["roots"].update(maps=str(tmp_path), metric_caches=str(tmp_path / "caches"))
    (runs.folder / "summary.json").write_text(json.dumps(summary))
    comparison, drawn = paint(runs.folder)
    assert drawn.pictures == {} and any(note in text for text in drawn.notes), drawn.notes
    assert "fast ahead of slow" in Reader(render_comparison(comparison, drawn)).text


def test_a_failed_agent_leaves_the_other_one_in_the_picture(runs: Runs) -> None:
    tokens: List[str] = [ref.token for ref in runs.index.refs]
    (runs.folder / "predictions.journal").unlink()
    failed = {"agent": "fast", "error": "on purpose"}
    write_plans(runs.folder, [(token, failed) for token in tokens])
    write_plans(runs.folder, [(token, make_prediction(name)) for token in tokens for name in AGENTS[1:]])
    _, drawn = paint(runs.folder)
    assert [picture.svg.count('class="side"') for picture in drawn.pictures.values()] == [1, 1]


def test_nothing_to_draw_is_nothing_to_say() -> None:
    assert paint_examples([], {}, []) == ExamplePictures()


def test_small_pictures_are_left_alone() -> None:
    small = np.zeros((10, 20, 3), np.uint8)
    assert shrink(small) is small and shrink(np.zeros((1080, 1920, 3), np.uint8)).shape == (248, PHOTO_WIDTH, 3)
