"""What a worker does with one scene where the devkit scores: it asks a process of the devkit's interpreter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.devkit_process import DevkitDied, DevkitProcess
from latentvla_agent.evaluation.devkits import Devkit
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.stages import ScoreItem, SourceHashes, StageSetup, failed_row
from latentvla_agent.scoring.metric_cache import cache_path
from latentvla_agent.scoring.versions import METRICS

CACHE_SUFFIX = ".cache"


@dataclass(frozen=True)
class OfficialSetup:
    """What a worker needs to know; `maps` is a folder in which no location is missing, `log` what the devkit prints."""

    stage: StageSetup
    devkit: Devkit
    maps: Path
    log: Path
    is_two_stage: bool = False

    @property
    def cache_folder(self) -> Path:
        """Metric caches of this devkit: another one, or another numpy, makes others."""
        facts = self.devkit.facts
        return self.stage.cache_folder / f"official-{self.devkit.metric}-{facts['source']}-numpy-{facts['numpy']}"

    def start(self) -> DevkitProcess:
        """A process of the devkit that scores."""
        command = "score-reactive" if self.is_two_stage else "score"
        return DevkitProcess(self.devkit.command, [command, self.maps], self.log)


class OfficialHandler:
    """Scores predictions with the devkit; one instance, and one process of the devkit, per worker process."""

    def __init__(self, setup: OfficialSetup):
        self._setup, self._metric = setup, METRICS[setup.stage.metric]
        self._hashes = SourceHashes(MapStore(setup.stage.roots.maps), setup.stage.scene_filter)
        try:
            self._process = setup.start()
        except DevkitDied as error:
            if error.was_killed:  # it may have better luck
                raise SystemExit(str(error)) from error
            raise

    def __call__(self, item: ScoreItem) -> List[Dict[str, Any]]:
        """Rows as JSON, one per prediction; for two stages whole rows, which `two_stage` finishes.

        A devkit that has died takes this worker with it, to be replaced.
        """
        request: Dict[str, Any] = {
            **self._name_scene(item),
            "columns": [*self._metric.columns, "score"],
            "ahead": [self._name_scene(other) for other in item.ahead],
        }
        if item.previous_ref is not None:
            request.update(previous=self._describe(item.previous_ref), previous_predictions=item.previous)
        try:
            answers = self._process.ask(request)["rows"]
        except DevkitDied as error:
            raise SystemExit(str(error)) from error
        if self._setup.is_two_stage:
            return list(answers)
        return [
            self._make_row(item.ref, prediction, answer).to_json(self._metric)
            for prediction, answer in zip(item.predictions, answers)
        ]

    def _name_scene(self, item: ScoreItem) -> Dict[str, Any]:
        return {"scene": self._describe(item.ref), "predictions": item.predictions}

    def _describe(self, ref: SceneRef) -> Dict[str, Any]:
        window = self._setup.stage.scene_filter
        place: Dict[str, Any] = {
            "log": str(ref.log_path),
            "start": ref.start,
            "history": window.num_history_frames,
            "future": window.num_future_frames,
        }
        return {
            "token": ref.token,
            "cache": str(cache_path(self._setup.cache_folder, ref.log_name, ref.token).with_suffix(CACHE_SUFFIX)),
            "source": self._hashes.source_of(ref),
            **({"file": str(ref.log_path)} if ref.is_synthetic else place),
        }

    def _make_row(self, ref: SceneRef, prediction: Mapping[str, Any], answer: Dict[str, Any]) -> ResultRow:
        if "error" in answer:
            return failed_row(ref, prediction["agent"], answer["error"])
        score = answer.pop("score")
        return ResultRow(ref.token, ref.log_name, prediction["agent"], score, valid=True, sub_scores=answer)
