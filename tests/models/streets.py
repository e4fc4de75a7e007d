"""A street for the tests of latent actions: waves painted on flat ground, seen by one camera."""

from __future__ import annotations

import math

import torch

HEIGHT, AHEAD = 1.8, 1.7  # m, of the camera in the ego frame
WAVES = ((0.25, 0.0), (0.4, 0.3), (0.15, -0.35), (0.0, 0.5), (0.6, 0.1), (0.3, 0.2))  # rad/m ahead and to the left


def make_projections(batch: int) -> torch.Tensor:
    """(B, 3, 4) of a level camera that looks ahead, as of `features.cameras`."""
    intrinsics = torch.tensor([[0.8, 0.0, 0.5], [0.0, 1.4, 0.3], [0.0, 0.0, 1.0]])
    to_camera = torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
    offset = -to_camera @ torch.tensor([[AHEAD], [0.0], [HEIGHT]])
    return (intrinsics @ torch.cat([to_camera, offset], dim=1)).expand(batch, -1, -1).clone()


def paint_streets(poses: torch.Tensor, phases: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Maps (B, C, R, K) of what the camera sees from ego poses (B, 3) on a ground whose waves have phases (B, C); 0
    above the horizon and farther than 40 m away."""
    projection = make_projections(1)[0]
    v, u = ((torch.arange(count) + 0.5) / count for count in (rows, columns))
    pixels = torch.stack([u.expand(rows, -1), v[:, None].expand(-1, columns), torch.ones(rows, columns)]).flatten(1)
    rays = torch.linalg.inv(projection[:, :3]) @ pixels
    distance = HEIGHT / (-rays[2]).clamp(min=1e-6)
    x, y = AHEAD + rays[0] * distance, rays[1] * distance
    cosine, sine = poses[:, 2:].cos(), poses[:, 2:].sin()
    ahead, left = poses[:, :1] + cosine * x - sine * y, poses[:, 1:2] + sine * x + cosine * y
    waves = [
        math.sqrt(2.0) * torch.sin(along * ahead + across * left + phases[:, index, None])
        for index, (along, across) in enumerate(WAVES[: phases.shape[1]])
    ]
    is_seen = (rays[2] < 0.0) & (distance < 40.0)
    return torch.where(is_seen, torch.stack(waves, dim=1), torch.zeros(())).unflatten(2, (rows, columns))
