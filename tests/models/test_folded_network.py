"""Batch norms in the convolutions before them: the same maps, of networks of many kinds, and always of the weights."""

from __future__ import annotations

import copy
import pickle
from typing import Any, List

import pytest
import torch
from torch import nn

from latentvla_agent.models.backbones import LITE0, BackboneConfig, make_backbone
from latentvla_agent.models.folded_network import FoldedNetwork, fold_batch_norms


def make_network(name: str, index: int) -> Any:
    """With batch norms that have seen something."""
    network = make_backbone(BackboneConfig(name, (index,))).eval().network
    for norm in list_norms(network):
        norm.running_mean.normal_(0.0, 0.2)
        norm.running_var.uniform_(0.5, 2.0)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0.0, 0.2)
    return network


def list_norms(network: nn.Module) -> List[Any]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(
    ("name", "index", "left"),
    [(LITE0, 3, 0), ("resnet18", 4, 0), ("regnety_002", 2, 0), ("mobilenetv3_small_050", 2, 0), ("densenet121", 1, 6)],
)
@torch.no_grad()
def test_maps_stay_the_same(name: str, index: int, left: int) -> None:
    """Batch norms that read something else than a convolution are left, as DenseNet's."""
    network, picture = make_network(name, index), torch.rand(1, 3, 64, 96)
    folded = fold_batch_norms(network)
    assert len(list_norms(folded)) == left < len(list_norms(network))
    (own,), (found,) = network(picture), folded(picture)
    torch.testing.assert_close(found, own, rtol=1e-4, atol=1e-5 * float(own.abs().max()))


@torch.no_grad()
def test_a_convolution_that_somebody_else_reads_keeps_its_weights() -> None:
    class Fork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution, self.norm = nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            seen = self.convolution(picture)
            total: torch.Tensor = seen + self.norm(seen)
            return total

    fork = Fork().eval()
    fork.norm.running_var.fill_(4.0)
    folded, picture = fold_batch_norms(fork), torch.rand(1, 2, 3, 3)
    assert len(list_norms(folded)) == 1 and torch.equal(folded(picture), fork(picture))


@torch.no_grad()
def test_a_convolution_that_changes_its_weights_keeps_them() -> None:
    class Doubled(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return self._conv_forward(input, 2.0 * self.weight, self.bias)

    network = nn.Sequential(Doubled(2, 2, 1), nn.BatchNorm2d(2)).eval()
    assert len(list_norms(fold_batch_norms(network))) == 1


@torch.no_grad()
def test_a_convolution_with_two_batch_norms_keeps_its_weights() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convolution = nn.Conv2d(2, 2, 1)
            self.norms = nn.ModuleList([nn.BatchNorm2d(2), nn.BatchNorm2d(2)])
            nn.init.constant_(self.norms[1].weight, 3.0)

        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            for norm in self.norms:
                picture = norm(self.convolution(picture))
            return picture

    shared, picture = Shared().eval(), torch.rand(1, 2, 3, 3)
    assert torch.equal(fold_batch_norms(shared)(picture), shared(picture))


@torch.no_grad()
def test_a_batch_norm_without_statistics_stays() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2, track_running_stats=False)).eval()
    picture = torch.rand(2, 2, 3, 3)
    assert torch.equal(fold_batch_norms(network)(picture), network(picture))


def test_a_network_without_a_graph_is_given_back() -> None:
    class Asking(nn.Module):
        def forward(self, picture: torch.Tensor) -> torch.Tensor:
            return picture if picture.sum() > 0 else -picture

    network = Asking()
    assert fold_batch_norms(network) is network


@torch.no_grad()
def test_the_network_itself_stays_as_it_is() -> None:
    network = make_network("resnet18", 1)
    before = copy.deepcopy(network.state_dict())
    fold_batch_norms(network.train())
    assert network.training and all(torch.equal(own, before[name]) for name, own in network.state_dict().items())


@torch.no_grad()
def test_other_weights_are_folded_anew() -> None:
    network, picture, folded = make_network("resnet18", 1), torch.rand(1, 3, 32, 32), FoldedNetwork()
    first = folded.fold(network)
    assert folded.fold(network) is first
    changes = (
        lambda: network.load_state_dict(make_network("resnet18", 1).state_dict()),
        lambda: network.bn1.running_mean.add_(1.0),
        lambda: network.conv1.weight.mul_(2.0),
        lambda: network.double(),
    )
    for change in changes:
        change()
        torch.testing.assert_close(
            folded.fold(network)(picture.to(network.conv1.weight.dtype))[0],
            network(picture.to(network.conv1.weight.dtype))[0],
            rtol=1e-4,
            atol=1e-4,
        )


def test_copies_fold_their_own_weights() -> None:
    backbone = make_backbone(BackboneConfig("resnet18", (1,), frozen=True))
    picture = torch.rand(1, 3, 32, 32)
    (before,) = backbone(picture)
    for copied in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert torch.equal(copied(picture)[0], before)
        with torch.no_grad():
            copied.network.bn1.bias.add_(1.0)
        assert not torch.allclose(copied(picture)[0], before)
        assert torch.equal(backbone(picture)[0], before)


def test_it_adds_nothing_to_the_weights() -> None:
    backbone = make_backbone(BackboneConfig("resnet18", (1,), frozen=True))
    names = list(backbone.state_dict())
    backbone(torch.rand(1, 3, 32, 32))
    assert list(backbone.state_dict()) == names
