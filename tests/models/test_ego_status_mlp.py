"""Shapes of the perceptron."""

from __future__ import annotations

import torch

from latentvla_agent.models.ego_status_mlp import EgoStatusMLP


def test_shapes() -> None:
    model = EgoStatusMLP(input_size=8, hidden_size=5, num_hidden_layers=2, num_poses=4)
    poses = model({"ego_status": torch.zeros(3, 8)})["trajectory"]
    assert poses.shape == (3, 4, 3)
    widths = [tuple(parameter.shape) for name, parameter in model.named_parameters() if name.endswith("weight")]
    assert widths == [(5, 8), (5, 5), (12, 5)]


def test_rows_do_not_touch_each_other() -> None:
    model, batch = EgoStatusMLP(hidden_size=8), torch.randn(5, 8)
    together = model({"ego_status": batch})["trajectory"]
    alone = torch.cat([model({"ego_status": row[None]})["trajectory"] for row in batch])
    assert torch.allclose(together, alone, atol=1e-6)
