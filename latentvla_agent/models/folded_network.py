"""A network that only plans, without its batch norms: in eval mode they are a scale and a shift, which the convolution
before one can have in its own weights.

The maps are the same but for rounding, in 0.6 of the time on a CPU, where batch norms and convolutions are bound by
memory alike (tiny backbone, four pictures of 480x270, one thread).
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any, List, Tuple

from timm.layers import Conv2dSame
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

State = List[Tuple[int, int]]

CONVOLUTIONS = (nn.Conv2d, Conv2dSame)  # not their heirs, which may change their weights before they use them


class FoldedNetwork:
    """Folds a network when it is first asked for, and anew whenever weights or device of the network have changed.

    No module: the weights of the model are those of the network, under its names.
    """

    def __init__(self) -> None:
        self._state: State = []
        self._folded: Any = None

    def fold(self, network: nn.Module) -> Any:
        """The folded network of this one; of a network that cannot be read as a graph, the network."""
        state = _look_at(network)
        if state != self._state:
            self._state, self._folded = state, fold_batch_norms(network)
        return self._folded

    def __reduce__(self) -> Tuple[Any, ...]:
        """A model that was copied or pickled folds its own weights."""
        return FoldedNetwork, ()


def fold_batch_norms(network: nn.Module) -> Any:
    """A network in eval mode as a graph in which every batch norm is folded that reads nothing but a convolution whose
    output nobody else reads. A network whose way depends on its input has no graph and is given back as it is."""
    tracer = _Tracer()
    try:
        graph = tracer.trace(copy.deepcopy(network).eval())
    except (fx.proxy.TraceError, TypeError, RuntimeError):
        return network
    module = fx.GraphModule(tracer.root, graph)
    parts = dict(module.named_modules())
    calls = Counter(node.target for node in graph.nodes)
    for node in graph.nodes:
        before = node.all_input_nodes[0] if node.all_input_nodes else node
        if {before.op, node.op} == {"call_module"} and _can_fold(parts[before.target], parts[node.target]):
            if len(before.users) == calls[before.target] == calls[node.target] == 1:  # nobody else uses either
                _replace(module, before.target, fuse_conv_bn_eval(parts[before.target], parts[node.target]))
                _replace(module, node.target, _keep_rest(parts[node.target]))
    return module


def _can_fold(before: nn.Module, norm: nn.Module) -> bool:
    """Whether these are a convolution and a batch norm; one without statistics takes them from what comes."""
    return type(before) in CONVOLUTIONS and isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None


class _Tracer(fx.Tracer):
    """Does not look into layers; timm's batch norms activate too, and its convolutions pad by the size that comes."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (nn.BatchNorm2d, nn.Conv2d)) or super().is_leaf_module(m, module_qualified_name)


def _keep_rest(norm: nn.Module) -> nn.Module:
    """What is left of a batch norm: nothing, or the activation of timm's, which come with one."""
    return nn.Sequential(*(getattr(norm, name) for name in ("drop", "act") if hasattr(norm, name)))


def _replace(module: nn.Module, target: str, new: nn.Module) -> None:
    parent, _, name = target.rpartition(".")
    setattr(module.get_submodule(parent), name, new)


def _look_at(network: nn.Module) -> State:
    """Changes with every write to weights and statistics (not by way of `.data`, which torch doesn't count), and when
    they move to another device or type."""
    tensors = [*network.parameters(), *network.buffers()]
    return [(tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors]
