"""The shadow check finds what differs, whatever the embedded scorer meets, and it comes after the results."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List, Sequence

import pytest

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneRef, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.evaluation import run as run_module
from latentvla_agent.evaluation.agents import find_agents
from latentvla_agent.evaluation.devkit_process import DevkitCommand
from latentvla_agent.evaluation.devkits import Devkit
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.run import Run, evaluate
from latentvla_agent.evaluation.shadow import compare_with_embedded, warn_of_differences
from latentvla_agent.evaluation.stages import ScoreHandler, ScoreItem, failed_row
from latentvla_agent.scoring.versions import METRICS

AGENT, SCENES = "stop", 3
PLAN = {"agent": AGENT, "poses": [[0.0, 0.0, 0.0]] * 8, "interval": 0.5}


@pytest.fixture()
def run(tmp_path: Path, metric_caches: Path) -> Run:
    """An official run of three scenes, whose devkit is never started."""
    roots = find_roots(environ={}, split="embedded")
    split = resolve_split("embedded", roots, max_scenes=SCENES)
    return Run(
        agents=find_agents([AGENT]),
        split=split,
        index=index_scenes(split),
        roots=roots,
        out=tmp_path / "out",
        cache_folder=metric_caches,
        metric=METRICS["pdms-v1.1"],
        workers=1,
        time_limit=1.0,
        devkit=Devkit(DevkitCommand(Path("python")), "pdms-v1.1", {"source": "1"}),
        shadow_scenes=50,
    )


def predict(refs: Sequence[SceneRef]) -> Dict[Any, Any]:
    return {(AGENT, ref.token): PLAN for ref in refs}


def score(run: Run, refs: Sequence[SceneRef]) -> List[ResultRow]:
    """Rows as a devkit gives them that is always right."""
    handler = ScoreHandler(run.setup())
    return [row for ref in refs for row in handler.score(ScoreItem(ref, (PLAN,)))]


def spoil(ref: SceneRef) -> SceneRef:
    """The reference of a scene that can't be built; its cache, if any, is not found either."""
    return replace(ref, start=ref.start + 5, log_name="spoilt")


def test_equal_rows_have_no_differences(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    refs = run.index.refs
    shadow = compare_with_embedded(run.setup(), refs, predict(refs), score(run, refs), 2)
    assert shadow == {"scenes": 2, "rows": 2, "num_differences": 0, "differences": []}
    warn_of_differences(shadow)
    assert "2 rows of 2 scenes scored by the embedded scorer too, all equal" in capsys.readouterr().err


def test_a_scene_that_only_the_embedded_scorer_cannot_build_is_a_difference(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    refs = list(run.index.refs)
    rows = score(run, refs)
    refs[1] = spoil(refs[1])
    shadow = compare_with_embedded(run.setup(), refs, predict(refs), rows, 50)
    assert (shadow["scenes"], shadow["rows"], shadow["num_differences"]) == (3, 3, 1)
    (found,) = shadow["differences"]
    assert (found["token"], found["agent"], found["column"], found["official"]) == (refs[1].token, AGENT, "error", "")
    assert "the log has changed" in found["embedded"]
    warn_of_differences(shadow)
    assert "error official valid, embedded DataError: " in capsys.readouterr().err


def test_scenes_that_the_devkit_failed_at_are_not_asked_for(run: Run) -> None:
    refs = list(run.index.refs)
    rows = score(run, refs)
    rows[1] = failed_row(refs[1], AGENT, "the devkit could not")
    refs[1] = spoil(refs[1])
    shadow = compare_with_embedded(run.setup(), refs, predict(refs), rows, 50)
    assert shadow == {"scenes": 2, "rows": 2, "num_differences": 0, "differences": []}
    failed = [failed_row(ref, AGENT, "the devkit could not") for ref in refs]
    assert compare_with_embedded(run.setup(), refs, predict(refs), failed, 50)["scenes"] == 0


def test_results_are_there_before_the_check(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = score(run, run.index.refs)
    monkeypatch.setattr(run_module, "plan_scenes", lambda *_: predict(run.index.refs))
    monkeypatch.setattr(run_module, "score_scenes", lambda *_: {})
    monkeypatch.setattr(run_module, "finish_rows", lambda *_: (rows, {}))

    def interrupt(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run_module, "compare_with_embedded", interrupt)
        evaluate(run)
    assert len((run.out / "scores.csv").read_text().splitlines()) == 1 + SCENES
    assert json.loads((run.out / "summary.json").read_text())["agents"][0]["scored"] == SCENES
    assert (run.out / "report.html").exists()
    evaluate(run)
    assert json.loads((run.out / "summary.json").read_text())["shadow"]["rows"] == SCENES
