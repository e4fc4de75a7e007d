"""Feature caches: what goes in comes out, stale ones are not found, a killed build goes on."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import pytest
import torch

from latentvla_agent.errors import DataError
from latentvla_agent.training import feature_cache
from latentvla_agent.training.feature_cache import (
    META,
    SHARD,
    CacheRecipe,
    FeatureCache,
    JoinedCache,
    count_finished,
    find_feature_cache,
    is_complete,
    open_cache,
    write_shards,
)

COUNT = 2 * SHARD + 44
RECIPE = CacheRecipe(tuple(f"{i:016x}" for i in range(COUNT)), {"features": "x"})

Tensors = Dict[str, torch.Tensor]


def make_batches(first: int = 0, size: int = 100, last: int = COUNT) -> Iterator[Tensors]:
    """Every scene's number, in several shapes."""
    for start in range(first, last, size):
        numbers = torch.arange(start, min(start + size, last))
        yield {
            "small": numbers[:, None].float() + 0.1,
            "bytes": (numbers % 256).to(torch.uint8)[:, None, None].expand(-1, 2, 3),
            "large": numbers[:, None].float().expand(-1, 5000) / 4,
        }


def write(folder: Path, batches: Iterator[Tensors], recipe: CacheRecipe = RECIPE) -> List[int]:
    """Write, with a clock that stands; what progress was reported."""
    steps: List[int] = []
    write_shards(folder, recipe, batches, steps.append, lambda: 0.0)
    return steps


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    assert sum(write(tmp_path, make_batches())) == COUNT
    cache = FeatureCache(tmp_path)
    assert len(cache) == COUNT and cache.tokens == RECIPE.tokens
    batch = cache.read([0, SHARD - 1, SHARD, COUNT - 1, 3])
    numbers = torch.tensor([0, SHARD - 1, SHARD, COUNT - 1, 3])
    torch.testing.assert_close(batch["small"][:, 0], numbers + 0.1)
    assert batch["bytes"].dtype == torch.uint8 and batch["bytes"][1].unique().tolist() == [(SHARD - 1) % 256]
    assert batch["large"].dtype == torch.float32, "kept in half precision, given back as a float"
    torch.testing.assert_close(batch["large"][:, 7], numbers / 4)


def test_a_killed_build_goes_on_after_its_last_whole_shard(tmp_path: Path) -> None:
    def stop(batches: Iterator[Tensors]) -> Iterator[Tensors]:
        for _ in range(3):
            yield next(batches)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, stop(make_batches()))
    assert not is_complete(tmp_path) and count_finished(tmp_path, COUNT) == SHARD
    assert sum(write(tmp_path, make_batches(SHARD))) == COUNT - SHARD
    whole = FeatureCache(tmp_path).read(range(COUNT))
    torch.testing.assert_close(whole["small"][:, 0], torch.arange(COUNT) + 0.1)


def test_killed_just_before_the_end_it_has_nothing_left_to_build(tmp_path: Path) -> None:
    write(tmp_path, make_batches())
    (tmp_path / META).unlink()

    def build(first: int) -> Iterator[Tensors]:
        raise AssertionError(f"asked for scenes from {first} on")

    cache = open_cache(tmp_path, RECIPE, build, "all there")
    numbers = cache.read(range(COUNT))["small"][:, 0]
    torch.testing.assert_close(numbers, torch.arange(COUNT) + 0.1)


def test_few_of_its_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "SHARD", 10)
    monkeypatch.setattr(feature_cache, "OPEN_FILES", 5)
    write(tmp_path, make_batches())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 15, limits[1]))
    try:
        numbers = FeatureCache(tmp_path).read(range(COUNT))["small"][:, 0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    torch.testing.assert_close(numbers, torch.arange(COUNT) + 0.1)


def test_another_recipe_is_another_folder() -> None:
    others = [
        replace(RECIPE, tokens=RECIPE.tokens[1:]),
        replace(RECIPE, facts={"features": "y"}),
        replace(RECIPE, constants=("images",)),
    ]
    folders = {find_feature_cache(Path("base"), "dev", recipe) for recipe in [RECIPE, *others]}
    assert len(folders) == 4


def test_constants_are_kept_once_and_checked(tmp_path: Path) -> None:
    recipe = replace(RECIPE, constants=("bytes",))
    with pytest.raises(DataError, match="bytes to be equal in all scenes"):
        write(tmp_path / "different", make_batches(), recipe)
    equal = ({**batch, "bytes": torch.ones_like(batch["bytes"])} for batch in make_batches())
    write(tmp_path / "equal", equal, recipe)
    assert len(list((tmp_path / "equal").glob("*bytes*"))) == 1
    assert FeatureCache(tmp_path / "equal").read([3, 4])["bytes"].shape == (2, 2, 3)


def test_too_few_scenes_are_an_error_and_no_cache(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"expected {COUNT} scenes, got {COUNT - 1}"):
        write(tmp_path, make_batches(last=COUNT - 1))
    assert not (tmp_path / META).exists()


def test_a_broken_shard_is_named(tmp_path: Path) -> None:
    write(tmp_path, make_batches())
    (tmp_path / "00001.small.npy").write_bytes(b"nothing")
    with pytest.raises(DataError, match="00001.small.npy: expected a shard"):
        FeatureCache(tmp_path)


def test_caches_of_the_same_scenes_are_one(tmp_path: Path) -> None:
    first, second = (
        SimpleCache({name: torch.arange(3.0) + shift, "both": torch.full((3,), shift)})
        for name, shift in (("a", 0.0), ("b", 5.0))
    )
    joined = JoinedCache([first, second])
    found = joined.read([2, 0])
    assert len(joined) == 3 and set(found) == {"a", "b", "both"}
    assert (
        found["a"].tolist() == [2.0, 0.0] and found["b"].tolist() == [7.0, 5.0] and found["both"].tolist() == [5.0, 5.0]
    )
    with pytest.raises(DataError, match="the same scenes in the same order"):
        JoinedCache([first, SimpleCache({}, ("y", "x", "z"))])


class SimpleCache:
    """Tensors in memory."""

    def __init__(self, tensors: Dict[str, torch.Tensor], tokens: Tuple[str, ...] = ("x", "y", "z")):
        self.tokens, self._tensors = tokens, tensors

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, indices: Sequence[int]) -> Dict[str, torch.Tensor]:
        return {name: tensor[list(indices)] for name, tensor in self._tensors.items()}
