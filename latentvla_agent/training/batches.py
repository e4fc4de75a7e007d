"""Batches of a feature cache, in an order that follows from seed and epoch: a resumed training sees the same ones."""

from __future__ import annotations

from typing import Dict, Iterator, List

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from latentvla_agent.training.feature_cache import FeatureCache

Tensors = Dict[str, torch.Tensor]


class CachedScenes(Dataset[Tensors]):
    """Batches by lists of indices; `index` (B,) tells which scenes they are."""

    def __init__(self, cache: FeatureCache):
        self.cache = cache

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, indices: List[int]) -> Tensors:
        """Tensors of these scenes."""
        return {**self.cache.read(indices), "index": torch.tensor(indices)}


class EpochBatches(Sampler[List[int]]):
    """Lists of indices; of several processes each gets every n-th batch, all of them equally many."""

    def __init__(self, count: int, batch_size: int, seed: int = 0, shuffle: bool = True, rank: int = 0, world: int = 1):
        self._count, self._batch_size, self._seed, self._shuffle = count, batch_size, seed, shuffle
        self._rank, self._world = rank, world
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch begins."""
        self._epoch = epoch

    def __len__(self) -> int:
        whole = self._count // self._batch_size if self._shuffle else -(-self._count // self._batch_size)
        return whole // self._world if self._shuffle else whole

    def __iter__(self) -> Iterator[List[int]]:
        order = torch.arange(self._count)
        if self._shuffle:
            order = torch.randperm(
                self._count, generator=torch.Generator().manual_seed(1000 * self._seed + self._epoch)
            )
        batches = list(order.split(self._batch_size))
        for i in range(len(self)):
            number = i * self._world + self._rank if self._shuffle else i
            yield batches[number].tolist()


def load_batches(cache: FeatureCache, batches: EpochBatches) -> DataLoader[Tensors]:
    """A loader in this process: reading a mapped file needs no other."""
    return DataLoader(CachedScenes(cache), batch_size=None, sampler=batches)
