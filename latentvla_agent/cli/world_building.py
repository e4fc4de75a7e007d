"""What `latentvla world make` does: builds towns in workers until a split has its scenes, and puts it together."""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional

import typer

from latentvla_agent.cli.options import EXIT_INCOMPLETE
from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.data.world_manifests import MANIFEST_FILE, describe_difference, read_published
from latentvla_agent.data.worlds import hash_renderer, hash_towns_code, worlds_folder
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.folders import open_folder
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.workers import run_in_workers
from latentvla_agent.scoring.warm_up import compile_kernels
from latentvla_agent.world.arithmetic import same_arithmetic
from latentvla_agent.world.assembly import assemble
from latentvla_agent.world.selection import choose_scenes, count_chosen, count_kinds
from latentvla_agent.world.splits import DEFAULT_SIZE, SplitConfig, format_size, make_edition
from latentvla_agent.world.sumo import load_libsumo
from latentvla_agent.world.towns import Town, TownBuilder, read_windows
from latentvla_agent.world.windows import Window

TOWN_TIME_LIMIT_S = 900.0
SENSORS_FOLDER = "sensor_blobs"
SOURCE_FILE = ".pictures"  # which towns and which renderer the sensor files are of
TOWNS_PREFIX = ".towns-"  # finished towns of a split: a run that was stopped goes on from them


def make_world(config: SplitConfig, scenes: Optional[int], workers: int, out: Optional[Path]) -> None:
    """Make a split, or an edition of it with fewer scenes, or go on with it, and print what came of it; ends with a
    status where it is not the one that was published."""
    config = config if scenes is None else make_edition(config, scenes)
    load_libsumo()
    root = out or worlds_folder() / config.folder
    with open_folder(root):
        (root / MANIFEST_FILE).unlink(missing_ok=True)
        parts = open_parts(root, config)
        compile_kernels()
        with same_arithmetic():
            towns = _build_towns(config, parts, workers)
        chosen = choose_scenes(config, towns)
        assert chosen is not None, "towns were built until there were enough"
        folders = {Town(config, number): parts / str(number) for number in range(len(towns))}
        try:
            manifest = assemble(root, folders, config, chosen)
        except OSError as error:
            raise DataError(f"{root}: cannot be written ({error.strerror}); the same command goes on") from error
    counts = f"{manifest['scenes']} scenes of {manifest['logs']} logs in {manifest['towns']} towns"
    print(f"{config.name}: {counts} -> {root}")
    if config.picture_size == DEFAULT_SIZE:
        _compare(root, manifest)
    else:
        size = f"{format_size(config.picture_size)} px, not the published {format_size(DEFAULT_SIZE)}"
        print(f"{config.name}: pictures of {size}; name the folder with --data")


def open_parts(root: Path, config: SplitConfig) -> Path:
    """Folder of finished towns; those of another state of code or config are removed, as is what a kill left, and all
    sensor files that were rendered from other towns or by another renderer."""
    towns = replace(
        config, name=config.family, scenes=0, min_logs=0, least_share=0.0, part_of=""
    )  # the same for every edition
    roads = hash_file(Path(config.opendrive)) if config.opendrive else ""
    key = hashlib.sha256(f"{hash_towns_code()} {towns} {roads}".encode()).hexdigest()[:12]
    parts = root / f"{TOWNS_PREFIX}{key}"
    _check_pictures(root, f"{key} {hash_renderer()}")
    for other in root.glob(f"{TOWNS_PREFIX}*"):
        if other != parts:
            shutil.rmtree(other)
    for leftover in parts.glob(".*"):
        shutil.rmtree(leftover)
    return parts


def _check_pictures(root: Path, source: str) -> None:
    """Remove sensor files of another source than this one, and note it for the next time."""
    note = root / SOURCE_FILE
    if note.is_file() and note.read_text() == source:
        return
    if (root / SENSORS_FOLDER).is_dir():
        shutil.rmtree(root / SENSORS_FOLDER)
    write_atomically(note, source.encode())


def _build_towns(config: SplitConfig, parts: Path, workers: int) -> List[List[Window]]:
    """Windows of the first towns, as many towns as it takes; raises `DataError` where all of them are not enough."""
    found: Dict[int, List[Window]] = {
        number: read_windows(parts / str(number)) for number in range(config.towns) if (parts / str(number)).is_dir()
    }
    towns = _first_towns(found)
    missing = [[Town(config, number)] for number in range(config.towns) if number not in found]
    begun = count_chosen(config, towns)
    with StageProgress(f"make {config.name}", config.scenes, begun) as progress:
        if choose_scenes(config, towns) is not None:
            return towns
        for outcome in run_in_workers(missing, partial(TownBuilder, parts), workers, TOWN_TIME_LIMIT_S):
            if outcome.error:
                raise DataError(f"town {outcome.item.name}: {outcome.error}")
            found[outcome.item.number] = read_windows(parts / str(outcome.item.number))
            if len(_first_towns(found)) == len(towns):
                continue  # one before it is still being built
            before, towns = count_chosen(config, towns), _first_towns(found)
            progress.advance(failed=False, count=count_chosen(config, towns) - before)
            if choose_scenes(config, towns) is not None:
                return towns
    raise DataError(
        f"split {config.name}: {config.towns} towns hold {count_chosen(config, towns)} of {config.scenes} scenes;"
        f" windows by kind: {count_kinds(config, towns)}"
    )


def _first_towns(found: Dict[int, List[Window]]) -> List[List[Window]]:
    towns: List[List[Window]] = []
    while len(towns) in found:
        towns.append(found[len(towns)])
    return towns


def _compare(root: Path, manifest: Dict[str, Any]) -> None:
    difference = describe_difference(root)
    if difference is not None:
        print(f"latentvla: {difference}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)
    if read_published(manifest["split"]) is not None:
        print(f"{manifest['split']}: all {len(manifest['files'])} files are those of the published manifest")
