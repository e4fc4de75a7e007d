"""What names weights."""

from __future__ import annotations

import hashlib

import torch

from latentvla_agent.pipeline.scenes import hash_weights


def test_weights_of_any_type_have_a_name() -> None:
    model = torch.nn.BatchNorm1d(3)  # one of its buffers has no dimensions
    content = b"said" + b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())
    assert hash_weights([model], "said") == hashlib.sha256(content).hexdigest()[:16], "that of caches made before"
    half = hash_weights([model.to(torch.bfloat16)], "said")
    torch.nn.init.zeros_(model.weight)
    assert hash_weights([model], "said") != half
