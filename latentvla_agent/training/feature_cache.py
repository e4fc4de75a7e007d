"""Features and targets of all scenes of a split, kept on disk and memory-mapped: a training reads nothing else.

A cache is a folder of shards, one `.npy` file per tensor and shard, and `meta.json`, which is written last. Its folder
is named by a key of everything it is made of (scenes, logs, features, weights of a frozen backbone): what is stale has
another key and is never read. A build that is killed goes on after its last whole shard.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Protocol, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import DataError
from latentvla_agent.training.array_files import open_array, write_array

FORMAT_VERSION = 1
META = "meta.json"
SHARD = 256  # scenes
# Files that a cache holds open. A training has up to four caches, a process often no more than 1,024 files,
# and navtrain has 2,020 (404 shards of five tensors); to open one again takes a tenth of a millisecond.
OPEN_FILES = 160

Tensors = Dict[str, torch.Tensor]
Arrays = Dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class CacheRecipe:
    """What a cache is made of. `facts` go into the key; `constants` are tensors that are equal in every scene (those of
    a blank control), which are kept once."""

    tokens: Tuple[str, ...]
    facts: Mapping[str, Any]
    constants: Tuple[str, ...] = ()

    def key(self) -> str:
        """Hash of all of it."""
        content = {"version": FORMAT_VERSION, "tokens": self.tokens, "facts": self.facts, "constants": self.constants}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


class SceneCache(Protocol):
    """Tensors of scenes by index."""

    tokens: Tuple[str, ...]

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> Tensors:
        """Tensors of these scenes, stacked."""


class JoinedCache:
    """Several caches of the same scenes as one; of a tensor that two of them have, the later one's."""

    def __init__(self, caches: Sequence[SceneCache]):
        if len({cache.tokens for cache in caches}) != 1:
            raise DataError("expected feature caches of the same scenes in the same order")
        self._caches, self.tokens = list(caches), caches[0].tokens

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, indices: Sequence[int]) -> Tensors:
        """Tensors of all caches."""
        return {name: tensor for cache in self._caches for name, tensor in cache.read(indices).items()}


class FeatureCache:
    """An opened cache."""

    def __init__(self, folder: Path):
        meta = json.loads((folder / META).read_text())
        self.folder, self.tokens = folder, tuple(meta["tokens"])
        self.seconds_per_scene: float = meta["seconds_per_scene"]
        self._names: Tuple[str, ...] = tuple(meta["names"])
        self._constants = {name: open_array(folder / f"constant.{name}.npy") for name in meta["constants"]}
        self._open = lru_cache(OPEN_FILES)(lambda number, name: open_array(folder / f"{number:05d}.{name}.npy"))
        for number in range(meta["num_shards"]):
            for name in self._names:
                self._open(number, name)  # what is broken is found now

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, indices: Sequence[int]) -> Tensors:
        """Tensors of these scenes, stacked; half precision becomes float32."""
        batch: Tensors = {}
        for name in self._names:
            rows = [self._open(i // SHARD, name)[i % SHARD].copy() for i in indices]  # a view would hold its file
            batch[name] = _as_tensor(np.stack(rows))
        for name, array in self._constants.items():
            batch[name] = _as_tensor(array[:]).expand(len(indices), *array.shape[1:])
        return batch

    def num_bytes(self) -> int:
        """Size on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir())


def find_feature_cache(base: Path, name: str, recipe: CacheRecipe) -> Path:
    """Folder of a cache below `base`."""
    return base / f"{name}-{recipe.key()}"


def is_complete(folder: Path) -> bool:
    """Whether the cache in this folder was finished."""
    return (folder / META).is_file()


def count_finished(folder: Path, total: int) -> int:
    """Scenes, of `total`, in whole shards of a build that was interrupted; the last shard may be a small one."""
    shards = 0
    while (folder / f"{shards:05d}.done").is_file():
        shards += 1
    return min(shards * SHARD, total)


def open_cache(
    folder: Path, recipe: CacheRecipe, build: Callable[[int], Iterable[Tensors]], description: str
) -> FeatureCache:
    """The cache in this folder; where it is not finished, `build` gives batches of all scenes from a number on."""
    if not is_complete(folder):
        total = len(recipe.tokens)
        first = count_finished(folder, total)
        with tqdm(total=total, initial=first, desc=description, unit="scene") as bar:
            write_shards(folder, recipe, build(first) if first < total else (), bar.update, time.perf_counter)
    return FeatureCache(folder)


def write_shards(
    folder: Path,
    recipe: CacheRecipe,
    batches: Iterable[Tensors],
    advance: Callable[[int], Any],
    clock: Callable[[], float],
) -> None:
    """Write what `batches` hold of the scenes after the finished ones, in their order, and then the meta file."""
    folder.mkdir(parents=True, exist_ok=True)
    begun, first = clock(), count_finished(folder, len(recipe.tokens))
    number, names, total = -(-first // SHARD), _known_names(folder), first
    for rows in _regroup(_report(batches, advance)):
        for name in recipe.constants:
            if name in rows:
                write_array(folder / f"constant.{name}.npy", _check_constant(name, rows.pop(name)))
        for name, array in rows.items():
            write_array(folder / f"{number:05d}.{name}.npy", array)
        names, total = sorted(rows), total + len(next(iter(rows.values())))
        write_atomically(folder / f"{number:05d}.done", json.dumps(names).encode())
        number += 1
    if total != len(recipe.tokens):
        raise DataError(f"{folder}: expected {len(recipe.tokens)} scenes, got {total}")
    meta = {
        "tokens": recipe.tokens,
        "facts": recipe.facts,
        "names": names,
        "constants": [name for name in recipe.constants if (folder / f"constant.{name}.npy").is_file()],
        "num_shards": number,
        "seconds_per_scene": (clock() - begun) / max(1, total - first),
    }
    write_atomically(folder / META, json.dumps(meta).encode())


def _report(batches: Iterable[Tensors], advance: Callable[[int], Any]) -> Iterator[Tensors]:
    for batch in batches:
        yield batch
        advance(len(next(iter(batch.values()))))


def _regroup(batches: Iterable[Tensors]) -> Iterator[Arrays]:
    """Batches of any size as shards."""
    waiting: List[Arrays] = []
    count = 0
    for batch in batches:
        waiting.append({name: _compact(tensor) for name, tensor in batch.items()})
        count += len(next(iter(batch.values())))
        while count >= SHARD:
            rows = _join(waiting)
            yield {name: array[:SHARD] for name, array in rows.items()}
            waiting, count = [{name: array[SHARD:] for name, array in rows.items()}], count - SHARD
    if count:
        yield _join(waiting)


def _join(parts: List[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _compact(tensor: torch.Tensor) -> npt.NDArray[Any]:
    """Backbone features, the only large floats, in half precision."""
    is_large = tensor.is_floating_point() and tensor[0].numel() > 4096
    array: npt.NDArray[Any] = (tensor.half() if is_large else tensor).cpu().numpy()
    return array


def _check_constant(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if (array != array[:1]).any():
        raise DataError(f"expected {name} to be equal in all scenes of a blank control, got different ones")
    return array[:1]


def _known_names(folder: Path) -> List[str]:
    done = folder / "00000.done"
    return list(json.loads(done.read_text())) if done.is_file() else []


def _as_tensor(array: npt.NDArray[Any]) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(array))
    return tensor.float() if tensor.dtype == torch.float16 else tensor
