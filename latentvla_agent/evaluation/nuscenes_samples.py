"""The samples of a nuScenes evaluation: which there are, what the human did after each, which of them can be scored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

from latentvla_agent.data.nuscenes.database import FutureTruth, NuScenesDatabase
from latentvla_agent.data.nuscenes.map import EXPANSION_FOLDER, NuScenesMaps
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.nuscenes_setup import SCORED_FRAMES
from latentvla_agent.evaluation.progress import StageProgress

TOO_SHORT, NO_MAP, NO_ROUTE = "drive ends within 5 s", "location without a map expansion", "drive touches no lane"


@dataclass(frozen=True)
class Samples:
    """All samples of the chosen scenes. `scored`: those whose plans get a PDMS; `left_out`: how many not, and why."""

    refs: Tuple[SceneRef, ...]
    truths: Sequence[FutureTruth]
    scored: Tuple[SceneRef, ...]
    left_out: Dict[str, int]
    locations_without_map: Tuple[str, ...]
    facts: Dict[str, Any]


def list_refs(database: NuScenesDatabase, scenes: Sequence[str], skip_padded: bool = False) -> Tuple[SceneRef, ...]:
    """References to all samples of these scenes, in their order and that of time.

    `skip_padded` leaves out those at the beginning of a drive whose history would be padded: of nuScenes' 6,019 remain
    5,569. A reference's log path names the drive; there is no such file. Raises `DataError` for an unknown scene.
    """
    tables = database.tables
    by_name = {row["name"]: row for row in tables.rows("scene").values()}
    refs: List[SceneRef] = []
    for name in scenes:
        tokens = database.sample_tokens([name])
        log = tables.get("log", by_name[name]["log_token"])
        place = tables.folder / name
        refs += [
            SceneRef(place, log["logfile"], number, token, log["location"], None)
            for number, token in enumerate(tokens)
            if not skip_padded or number + 1 >= database.config.num_history_frames
        ]
    if not refs:
        raise DataError(f"{tables.folder}: expected samples, got none")
    return tuple(refs)


def read_samples(database: NuScenesDatabase, refs: Sequence[SceneRef], maps: NuScenesMaps) -> Samples:
    """What came after each sample, and whether it can be scored; reads every drive once."""
    truths: List[FutureTruth] = []
    scored: List[SceneRef] = []
    left_out: Counter[str] = Counter()
    motion: Counter[str] = Counter()
    num_padded, command_source = 0, ""
    with StageProgress("read", len(refs)) as progress:
        for ref in refs:
            scene = database.load(ref.token)
            truths.append(database.load_truth(ref.token))
            motion[scene.motion_source] += 1
            num_padded += scene.num_padded > 0
            command_source = scene.command_source
            reason = _find_reason(ref, scene.scene_metadata.num_future_frames, scene.current_frame.roadblock_ids, maps)
            if reason:
                left_out[reason] += 1
            else:
                scored.append(ref)
            progress.advance(failed=False)
    without = sorted({ref.map_name for ref in refs if not maps.has(ref.map_name)})
    facts = {
        "command_source": f"future route: {command_source}",
        "motion_sources": dict(motion),
        "samples_with_padded_history": num_padded,
    }
    return Samples(tuple(refs), truths, tuple(scored), dict(left_out), tuple(without), facts)


def _find_reason(ref: SceneRef, num_future: int, route: Sequence[str], maps: NuScenesMaps) -> str:
    """Why the plans of a sample are not scored; empty if they are."""
    if num_future < SCORED_FRAMES:
        return TOO_SHORT
    if not maps.has(ref.map_name):
        return NO_MAP
    return "" if route else NO_ROUTE


def explain_left_out(samples: Samples) -> str:
    """In words, why nothing is scored at all; empty if something is."""
    if samples.scored:
        return ""
    if samples.locations_without_map:
        files = ", ".join(str(EXPANSION_FOLDER / f"{name}.json") for name in samples.locations_without_map)
        return f"no map expansion (v1.3): expected {files} below the database"
    return "; ".join(f"{count} samples: {reason}" for reason, count in samples.left_out.items())
