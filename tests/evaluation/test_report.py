"""The report: complete, safe against whatever is in the files, small, and there even where a picture fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import pytest

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.data.splits import SceneFilter
from latentvla_agent.evaluation import report_pictures
from latentvla_agent.evaluation.paired_statistics import score_intervals
from latentvla_agent.evaluation.report import count_infractions, make_report, render_report
from latentvla_agent.evaluation.report_charts import round_up
from latentvla_agent.evaluation.report_pictures import Picture, ScenePainter, choose_moment, choose_worst
from latentvla_agent.evaluation.report_sections import group_failures
from latentvla_agent.evaluation.results import ResultRow, row_of_scores, summarise_agent
from latentvla_agent.evaluation.stages import StageSetup
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.versions import METRICS, Metric
from tests.scoring.scenes import Thing, make_cache

HOSTILE = '</td><script>alert("1")</script>&<img src=x onerror=alert(1)>'
PDMS, EPDMS = METRICS["pdms-v1.1"], METRICS["epdms-v2.2"]
MEGABYTES_3 = 3_000_000
VOID = {"meta", "link", "br", "img"}


class Reader(HTMLParser):
    """Collects tags and text; fails on tags that do not match."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: List[str] = []
        self.text = ""
        self._open: List[str] = []
        self.feed(html)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        assert not any(name.startswith("on") for name, _ in attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def make_rows(agent: str, count: int, *, failing: int = 0, error: str = "ValueError: no") -> List[ResultRow]:
    """Rows of synthetic scenes, the first `failing` of them failed."""
    rng = np.random.default_rng(len(agent))
    rows = []
    for i, score in enumerate(rng.random(count)):
        token, log = f"{i:016x}", f"log-{i // 80:04}"
        if i < failing:
            rows.append(ResultRow(token, log, agent, error=error))
            continue
        sub_scores = dict.fromkeys(PDMS.columns, float(score))
        collision, ttc = (i % 41 if i % 10 == 0 else None), (i % 37 if i % 7 == 0 else None)
        off = i % 39 if i % 8 == 0 else None
        rows.append(ResultRow(token, log, agent, float(score), True, "", sub_scores, (9.0, 8.0), collision, ttc, off))
    return rows


def make_summary(
    rows_by_agent: Mapping[str, Sequence[ResultRow]], metric: Metric = PDMS, **changes: Any
) -> Dict[str, Any]:
    """What `summary.json` holds."""
    intervals = score_intervals(rows_by_agent)
    agents = [
        {
            "agent": agent,
            "config": "c0ffee",
            **summarise_agent(agent, rows, len(rows), metric),
            **intervals.get(agent, {}),
        }
        for agent, rows in rows_by_agent.items()
    ]
    summary = {
        "metric": metric.name,
        "scorer": "embedded",
        "split": {"name": "navtest", "source": "a folder", "scene_filter": {"num_history_frames": 4, "tokens": None}},
        "scenes": "05fcaa168ca06f15",
        "expected": len(next(iter(rows_by_agent.values()))),
        "dropped_no_route": 0,
        "bad_logs": [],
        "missing_logs": [],
        "missing_tokens": 0,
        "machine": {"processor": "a processor", "cores": 2},
        "command": "latentvla eval --split navtest",
        "finished": "2025-01-01T00:00:00+0000",
        "versions": {"numpy": "2.0.0"},
        "agents": agents,
    }
    return {**summary, **changes}


def render(rows_by_agent: Mapping[str, Sequence[ResultRow]], **changes: Any) -> str:
    """A report without pictures."""
    return render_report(make_summary(rows_by_agent, **changes), rows_by_agent, {})


class StoredCaches:
    """In place of `CacheHandler`: hands out one hand-made cache, and fails for the tokens it is told to."""

    cache: MetricCache = make_cache(Thing(35.0, 0.0))
    broken: Tuple[str, ...] = ()

    def __init__(self, setup: StageSetup) -> None:
        pass

    def load_cache(self, ref: SceneRef) -> MetricCache:
        """The cache, or a failure."""
        if ref.token in self.broken:
            raise ValueError(f"cache of {ref.token} is {HOSTILE}")
        return self.cache


@pytest.fixture()
def setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> StageSetup:
    """A setup whose scenes all are the hand-made one."""
    monkeypatch.setattr(report_pictures, "CacheHandler", StoredCaches)
    monkeypatch.setattr(StoredCaches, "broken", ())
    return StageSetup(find_roots(None, None, split="embedded"), SceneFilter(), tmp_path)


def score_straight(
    agent: str, tokens: Sequence[str], *, speed: float, left: float
) -> Tuple[List[ResultRow], Dict[Any, Any]]:
    """Rows and predictions of a plan that goes ahead and to the left."""
    poses = np.zeros((8, 3))
    poses[:, 0], poses[:, 1] = speed * 0.5 * np.arange(1, 9), left * np.arange(1, 9) / 8.0
    scores = Scorer().score(StoredCaches.cache, poses[None])
    rows = [row_of_scores(token, "log", agent, scores) for token in tokens]
    return rows, {(agent, token): {"agent": agent, "poses": poses.tolist(), "interval": 0.5} for token in tokens}


def make_refs(tokens: Sequence[str]) -> List[SceneRef]:
    """References of scenes of one log."""
    return [SceneRef(Path("log.pkl"), "log", i, token, "sg-one-north", None) for i, token in enumerate(tokens)]


def test_page_has_every_part() -> None:
    rows = {"one": make_rows("one", 200, failing=3), "two": make_rows("two", 200)}
    text = Reader(render(rows)).text
    for part in (
        "PDMS of 2 agents on navtest",
        "pdms-v1.1, embedded scorer, 200 scenes",
        "Incomplete: 3 failed scenes",
    ):
        assert part in text
    for part in ("Failed scenes", "Sub-scores", "First infractions over time", "Provenance", "numpy 2.0.0"):
        assert part in text
    assert "hierarchical bootstrap over logs, then scenes (3 logs)" in text
    assert "latentvla eval --split navtest" in text


def test_complete_run_says_so() -> None:
    text = Reader(render({"one": make_rows("one", 50)})).text
    assert "Complete: every expected scene was scored" in text and "Failed scenes" not in text
    assert "of a single log (too narrow" in text


def test_a_degraded_run_says_so_in_its_heading() -> None:
    page = render({"one": make_rows("one", 50)}, degradation="fog")
    assert "PDMS of 1 agent on navtest, sensors degraded: fog" in Reader(page).text
    assert "<title>PDMS on navtest, sensors degraded: fog" in page
    assert "degraded" not in render({"one": make_rows("one", 50)}, degradation=None)


def test_latency_and_blank_sensors_are_shown_where_they_are_known() -> None:
    rows = {"one": make_rows("one", 50)}
    summary = make_summary(rows)
    assert "Latency" not in Reader(render_report(summary, rows, {})).text
    summary["agents"][0].update(total_ms=12.5, total_ms_p95=20.0, blank_camera_scenes=3, blank_lidar_scenes=0)
    text = " ".join(Reader(render_report(summary, rows, {})).text.split())
    assert "Latency and parameters agenttotal p50total p95blank camerablank lidar one12.5020.0030 " in text
    assert "planned without a picture" in text and "blank_camera_scenes" not in text


def test_lost_logs_and_scenes_are_listed() -> None:
    bad_logs = [{"log": "broken.pkl", "reason": HOSTILE}]
    html = render({"one": make_rows("one", 9)}, bad_logs=bad_logs, missing_logs=["gone"], missing_tokens=7)
    text = Reader(html).text
    assert "Incomplete: 1 unreadable log, 1 missing log, 7 missing scenes" in text
    assert f"broken.pkl: {HOSTILE}" in text and "gone" in text


def test_nothing_hostile_gets_through() -> None:
    rows = [ResultRow(HOSTILE, HOSTILE, HOSTILE, error=f"E: {HOSTILE} {i}") for i in range(3)]
    rows += [ResultRow("t", HOSTILE, HOSTILE, 0.5, True, "", dict.fromkeys(PDMS.columns, 0.5))]
    by_agent = {HOSTILE: rows}
    split = {"name": HOSTILE, "source": HOSTILE, "scene_filter": {HOSTILE: HOSTILE}}
    summary = make_summary(by_agent, split=split, command=HOSTILE, machine={HOSTILE: HOSTILE}, versions={HOSTILE: "1"})
    pictures = {HOSTILE: [Picture(rows[3], "<svg></svg>"), Picture(rows[0], problem=HOSTILE)]}
    html = render_report(summary, by_agent, pictures)
    reader = Reader(html)
    assert not {"script", "img"} & set(reader.tags)
    assert html.count("<script") == 0 and html.count("<img") == 0


def test_nothing_is_loaded_from_anywhere() -> None:
    html = render({"one": make_rows("one", 50, failing=2)})
    assert not re.findall(r"https?:|//[a-z]|@import|url\(", html)
    assert set(re.findall(r'(?:src|href)="([^"]*)"', html)) == {"data:,"}
    assert "default-src 'none'" in html and "<script" not in html


def test_failures_are_grouped_by_reason() -> None:
    rows = [ResultRow(f"token{i}", "log", "a", error=f"ValueError: scene token{i} of log is odd") for i in range(9)]
    rows += [ResultRow("last", "log", "a")]
    groups = group_failures(rows)
    assert groups[0] == ("ValueError: scene <token> of <log> is odd", [f"token{i}" for i in range(9)])
    assert groups[1] == ("no reason given", ["last"])
    text = Reader(render({"a": rows})).text
    assert "ValueError: scene <token> of <log> is odd" in text and "token4 and 4 more" in text


def test_infractions_are_counted_by_half_seconds() -> None:
    rows = [ResultRow("t", "l", "a", 0.0, True, collision_idx=step, ttc_idx=0) for step in (0, 4, 5, 39, 40, None)]
    rows += [ResultRow("t", "l", "a", 0.0, True, off_road_idx=step) for step in (12, 14)]
    rows += [ResultRow("t", "l", "a", collision_idx=3, off_road_idx=3)]  # failed: not counted
    counts = count_infractions(rows)
    assert counts["collision"] == [2, 1, 0, 0, 0, 0, 0, 2]
    assert counts["ttc"] == [6, 0, 0, 0, 0, 0, 0, 0]
    assert counts["off_road"] == [0, 0, 2, 0, 0, 0, 0, 0]


def test_worst_scenes_come_first_and_failed_ones_not_at_all() -> None:
    rows = [ResultRow(token, "l", "a", score, token != "x") for token, score in zip("xcba", (0.0, 0.0, 0.5, 0.0))]
    assert [row.token for row in choose_worst(rows, 3)] == ["a", "c", "b"]


def test_moment_is_the_collision_then_ttc_then_the_road() -> None:
    hit = ResultRow("t", "l", "a", collision_idx=20, ttc_idx=11, off_road_idx=3)
    close = ResultRow("t", "l", "a", ttc_idx=0, off_road_idx=3)
    left = ResultRow("t", "l", "a", off_road_idx=3)
    moments = [choose_moment(hit), choose_moment(close), choose_moment(left)]
    assert [moment and moment.text for moment in moments] == ["collision 2.0 s", "TTC 0.0 s", "off road 0.3 s"]
    assert choose_moment(ResultRow("t", "l", "a")) is None


def test_pictures_show_what_the_scorer_saw(setup: StageSetup) -> None:
    rows, predictions = score_straight("swerve", ["t1", "t2"], speed=3.0, left=6.0)
    predictions.update(score_straight("human", ["t1", "t2"], speed=3.0, left=0.0)[1])
    assert rows[0].sub_scores["drivable_area_compliance"] == 0.0
    painter = ScenePainter(setup, make_refs(["t1", "t2"]), predictions)
    picture = painter.paint(rows[0])
    assert picture.problem == "" and rows[0].off_road_idx is not None
    assert "off road" in picture.svg and 'class="human"' in picture.svg
    assert f"off road {rows[0].off_road_idx / 10:.1f} s" in picture.svg


def test_failing_picture_is_noted_and_loses_nothing(setup: StageSetup, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["t1", "t2", "t3"]
    rows, predictions = score_straight("human", tokens, speed=3.0, left=6.0)
    summary = make_summary({"human": rows})
    monkeypatch.setattr(StoredCaches, "broken", ("t2",))
    html = make_report(summary, rows, predictions, setup, make_refs(tokens)).decode()
    reader = Reader(html)
    assert f"no picture of human in scene t2: ValueError: cache of t2 is {HOSTILE}" in reader.text
    assert "off the road 3" in " ".join(reader.text.split()), "the rows know the time without pictures"
    assert html.count('<svg class="bev" ') == 2


def test_equal_rows_give_an_equal_report(setup: StageSetup) -> None:
    tokens = [f"t{i}" for i in range(9)]
    rows, predictions = score_straight("human", tokens, speed=3.0, left=6.0)
    summary = make_summary({"human": rows})
    reports = {make_report(summary, rows, predictions, setup, make_refs(order)) for order in (tokens, tokens[::-1])}
    assert len(reports) == 1
    assert reports.pop().count(b'<svg class="bev" ') == 6


def test_size_does_not_grow_with_the_split(setup: StageSetup) -> None:
    """12,146 scenes, 4 agents, each failing for 3,000 different reasons."""
    rows_by_agent: Dict[str, List[ResultRow]] = {}
    for agent in ("one", "two", "three", "four"):
        rows = make_rows(agent, 12146)
        for i in range(3000):
            rows[4 * i] = ResultRow(rows[4 * i].token, rows[4 * i].log, agent, error=f"E{i}: " + "long " * 1000)
        rows_by_agent[agent] = rows
    drawn = "<svg>" + "x" * 12_000 + "</svg>"
    pictures = {agent: [Picture(row, drawn) for row in choose_worst(rows)] for agent, rows in rows_by_agent.items()}
    html = render_report(make_summary(rows_by_agent), rows_by_agent, pictures)
    assert len(html.encode()) < 700_000 < MEGABYTES_3


def test_agent_without_any_valid_scene_is_shown(setup: StageSetup) -> None:
    rows = make_rows("broken", 20, failing=20)
    text = Reader(make_report(make_summary({"broken": rows}), rows, {}, setup, []).decode()).text
    assert "Incomplete: 20 failed scenes" in text and "Worst scenes" not in text


def test_an_epdms_run_is_reported_with_its_own_columns(setup: StageSetup) -> None:
    poses = np.zeros((8, 3))
    poses[:, 0], poses[:, 1] = 1.5 * np.arange(1, 9), 6.0 * np.arange(1, 9) / 8.0
    scores = Scorer("epdms-v2.2").score(StoredCaches.cache, poses[None])
    rows = [row_of_scores("t1", "log", "human", scores)]
    assert rows[0].sub_scores["two_frame_extended_comfort"] is None
    predictions = {("human", "t1"): {"agent": "human", "poses": poses.tolist(), "interval": 0.5}}
    html = make_report(make_summary({"human": rows}, EPDMS), rows, predictions, setup, make_refs(["t1"])).decode()
    text = Reader(html).text
    assert "EPDMS of 1 agent on navtest" in text and "epdms-v2.2, embedded scorer" in text
    for name in ("TLC: traffic light compliance", "LK: lane keeping", "HC: history comfort"):
        assert name in html
    assert re.findall(r"<abbr[^>]*>([A-Z]+)</abbr>", html) == ["NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC"]
    assert html.count('<svg class="bev" ') == 1 and "DAC 0" in text and "EC 0" not in text


@pytest.mark.parametrize("value, top", [(0, 2), (1, 2), (7, 8), (13, 14), (212, 220), (12146, 14000)])
def test_scales_end_at_round_counts(value: float, top: float) -> None:
    assert round_up(value) == top


@pytest.mark.slow
def test_chromium_opens_it_without_complaint(setup: StageSetup, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    rows, predictions = score_straight("human", ["t1", "t2"], speed=3.0, left=6.0)
    page, picture = tmp_path / "report.html", tmp_path / "report.png"
    page.write_bytes(make_report(make_summary({"human": rows}), rows, predictions, setup, make_refs(["t1", "t2"])))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--window-size=1200,3000"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}"]
    result = subprocess.run([browser, *options, page.as_uri()], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert picture.stat().st_size > 20_000
    assert "CONSOLE" not in result.stderr, result.stderr
