"""One evaluation on nuScenes: plan at every sample, then every metric of the literature from one file of plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from latentvla_agent.data.files import hash_file
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.nuscenes.motion import CAN_FOLDER
from latentvla_agent.data.nuscenes.tables import TABLE_NAMES, NuScenesTables
from latentvla_agent.data.scene import Trajectory
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.agents import AgentSpec
from latentvla_agent.evaluation.chunks import ItemMaker, Predictions
from latentvla_agent.evaluation.folders import open_folder, write_output
from latentvla_agent.evaluation.nuscenes_samples import Samples, list_refs, read_samples
from latentvla_agent.evaluation.nuscenes_setup import NuScenesGrader, NuScenesSetup, open_planner
from latentvla_agent.evaluation.nuscenes_summary import summarise_nuscenes
from latentvla_agent.evaluation.open_loop import measure_plans, read_plans
from latentvla_agent.evaluation.provenance import describe_agent, hash_list, hash_mapping, list_versions
from latentvla_agent.evaluation.results import SCORES_FILE, SUMMARY_FILE, ResultRow, write_csv
from latentvla_agent.evaluation.stage_loop import StageLoop
from latentvla_agent.scoring.versions import NUSCENES_METRIC
from latentvla_agent.scoring.warm_up import compile_kernels

PLANS_FOLDER = "plans"
Plans = Dict[str, Trajectory]  # by token


@dataclass(frozen=True)
class NuScenesRun:
    """Everything an evaluation on nuScenes is made of. `split` is how the scenes were chosen, `scenes` their names."""

    setup: NuScenesSetup
    split: str
    scenes: Tuple[str, ...]
    out: Path
    workers: int
    time_limit: float
    batch_size: int = 1
    skip_padded: bool = False  # samples whose history is not whole

    def identity(self, refs: Sequence[SceneRef]) -> Dict[str, Any]:
        """What must be equal for a run to be resumed; everything that can change a number."""
        return {
            "metric": NUSCENES_METRIC.name,
            "scorer": "embedded",
            "split": {
                "name": f"nuScenes {self.setup.version} {self.split}",
                "source": str(self.setup.root.resolve()),
                "skip_padded": self.skip_padded,
            },
            "database": describe_database(self.setup, refs),
            "scenes": hash_list([ref.token for ref in refs]),
            "agents": [describe_agent(spec) for spec in self.setup.agents],
            "batch_size": self.batch_size,
            "versions": list_versions(),
        }

    def loop(self, identity: Mapping[str, Any], refs: Sequence[SceneRef]) -> StageLoop:
        """What goes through the samples."""
        names = [spec.name for spec in self.setup.agents]
        return StageLoop(self.out, identity, refs, names, self.workers, self.time_limit, batch_size=self.batch_size)


def describe_database(setup: NuScenesSetup, refs: Sequence[SceneRef]) -> Dict[str, Any]:
    """Hashes of all that numbers are made of: the tables, the maps of these samples, the CAN bus if it is used."""
    tables, maps = NuScenesTables(setup.root, setup.version), NuScenesMaps(setup.root)
    paths = {name: maps.path_of(name) for name in sorted({ref.map_name for ref in refs})}
    folder = setup.root / CAN_FOLDER
    can_bus = sorted(folder.glob("*_pose.json")) if setup.use_can_bus and folder.is_dir() else []
    return {
        "tables": hash_mapping({name: hash_file(tables.path(name)) for name in TABLE_NAMES}),
        "maps": {name: hash_file(path)[:16] for name, path in paths.items() if path.is_file()},
        "can_bus": hash_list([f"{path.name} {hash_file(path)}" for path in can_bus]) if can_bus else None,
    }


def evaluate_nuscenes(run: NuScenesRun) -> Dict[str, Any]:
    """Run or resume the evaluation; returns the summary, and writes it into `run.out` with the plans of every agent,
    and `scores.csv` where there is a map to score them on.

    Raises `DataError` where `run.out` can't be written, is in use, or holds another run, and for a broken database.
    """
    with open_folder(run.out):
        maps = NuScenesMaps(run.setup.root)
        database = run.setup.open(with_maps=True)
        refs = list_refs(database, run.scenes, run.skip_padded)
        identity = run.identity(refs)
        predictions = run.loop(identity, refs).plan(partial(open_planner, run.setup))
        plans = {spec.name: store_plans(run, spec, refs, predictions) for spec in run.setup.agents}
        samples = read_samples(database, refs, maps)
        measured = {agent: measure_plans(samples.truths, own) for agent, own in plans.items()}
        rows = score_plans(run, identity, samples, plans, predictions) if samples.scored else []
        summary = summarise_nuscenes(identity, samples, predictions, measured, rows)
        if rows:
            write_output(run.out / SCORES_FILE, write_csv(rows, NUSCENES_METRIC))
        write_output(run.out / SUMMARY_FILE, (json.dumps(summary, indent=1) + "\n").encode())
    return summary


def plans_path(out: Path, agent: str) -> Path:
    """The file of an agent's plans, in the format of `latentvla score`."""
    return out / PLANS_FOLDER / f"{agent}.json"


def store_plans(run: NuScenesRun, spec: AgentSpec, refs: Sequence[SceneRef], predictions: Predictions) -> Plans:
    """Write an agent's plans and read them back: every metric comes from that file."""
    entries = []
    for ref in refs:
        prediction = predictions[(spec.name, ref.token)]
        if "error" not in prediction:
            sampling = {"num_poses": len(prediction["poses"]), "interval": prediction["interval"]}
            entry = {"token": ref.token, "name": spec.name, "poses": prediction["poses"], "sampling": sampling}
            entries.append(entry)
    path = plans_path(run.out, spec.name)
    write_output(path, (json.dumps(entries) + "\n").encode())
    return read_plans(path, spec.name) if entries else {}


def score_plans(
    run: NuScenesRun,
    identity: Mapping[str, Any],
    samples: Samples,
    plans: Mapping[str, Plans],
    predictions: Predictions,
) -> List[ResultRow]:
    """Rows of `pdms-nuscenes`, in the order of agents, then samples."""
    compile_kernels()
    items = ItemMaker(samples.scored, list(plans), _take_plans(samples, plans, predictions), with_previous=False)
    loop = run.loop(identity, samples.scored)
    scored = loop.score(NUSCENES_METRIC, items.make, partial(NuScenesGrader, run.setup))
    return [
        ResultRow.from_json(scored[ref.token][number], NUSCENES_METRIC)
        for number in range(len(plans))
        for ref in samples.scored
    ]


def _take_plans(samples: Samples, plans: Mapping[str, Plans], predictions: Predictions) -> Predictions:
    """What is scored: the plans as they were read back; where there is none, why."""
    taken: Dict[Tuple[str, str], Any] = {}
    for agent, own in plans.items():
        for ref in samples.scored:
            plan = own.get(ref.token)
            taken[(agent, ref.token)] = (
                {"agent": agent, "error": predictions[(agent, ref.token)]["error"]}
                if plan is None
                else {
                    "agent": agent,
                    "poses": plan.poses.tolist(),
                    "interval": plan.trajectory_sampling.interval_length,
                }
            )
    return taken
