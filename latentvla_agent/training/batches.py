"""Batches of a feature cache, in an order that follows from seed and epoch: a resumed training sees the same ones."""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Tuple

import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from latentvla_agent.training.feature_cache import SceneCache

Tensors = Dict[str, torch.Tensor]


class CachedScenes(Dataset[Tensors]):
    """Batches by lists of indices; `index` (B,) tells which scenes they are."""

    def __init__(self, cache: SceneCache):
        self.cache = cache

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, indices: List[int]) -> Tensors:
        """Tensors of these scenes."""
        return {**self.cache.read(indices), "index": torch.tensor(indices)}


class EpochBatches(Sampler[List[int]]):
    """Lists of indices; of several processes each gets every n-th batch, all of them equally many.

    `share` gives this process's number and how many there are, asked when an epoch begins: Lightning starts the others
    late.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        share: Callable[[], Tuple[int, int]] = lambda: (0, 1),
    ):
        self._count, self._batch_size, self._seed, self._shuffle = count, batch_size, seed, shuffle
        self._share, self._epoch = share, 0

    def set_epoch(self, epoch: int) -> None:
        """Lightning says which epoch begins."""
        self._epoch = epoch

    def __len__(self) -> int:
        if not self._shuffle:
            return -(-self._count // self._batch_size)
        return self._count // self._batch_size // self._share()[1]

    def __iter__(self) -> Iterator[List[int]]:
        if not self._shuffle:
            yield from (batch.tolist() for batch in torch.arange(self._count).split(self._batch_size))
            return
        generator = torch.Generator().manual_seed(1000 * self._seed + self._epoch)
        batches = torch.randperm(self._count, generator=generator).split(self._batch_size)
        rank, world = self._share()
        for i in range(len(self)):
            yield batches[i * world + rank].tolist()


def load_batches(cache: SceneCache, batches: EpochBatches) -> DataLoader[Tensors]:
    """A loader in this process: reading a mapped file needs no other. Its generator keeps it from drawing a number from
    the training's, once more in the epoch in which a training begins or goes on than in the others."""
    return DataLoader(CachedScenes(cache), batch_size=None, sampler=batches, generator=torch.Generator())
