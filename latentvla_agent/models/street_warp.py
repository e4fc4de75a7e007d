"""A frame as it looks after the ego has moved, were everything else to stand still.

What the ego's motion does to a picture depends on how far away things are, and is no sum of what they look like and of
the motion: a transformer finds that out only slowly. So the frame is moved by geometry. How far things are begins as a
street, ground between two walls, and is learnt from reconstruction alone, as in self-supervised structure from motion
(Zhou et al. 2017). No source says how LatentVLA's decoder uses its latents; this is our default.
"""

from __future__ import annotations

import torch
from torch import nn

from latentvla_agent.models.latent_action_config import LatentActionConfig, StreetConfig

NEARNESS_RATE = 10.0  # Adam moves every number by as much: distances need larger steps than weights
DEPTH_WIDTH, DEPTH_LAYERS = 32, 3  # of what tells distances: it sees 7 x 7 cells
MIN_ERROR = 0.02  # mean square of normalised features, below which a motion fits as well as any
MIN_DEPTH = 1.0  # m: what came nearer to the camera, or behind it, is read at the picture's edge


class StreetWarp(nn.Module):
    """Maps of features (B, C, R, K) of the frame before, moved to where the ego is one transition later."""

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        rows, columns = config.grid
        self.street = config.street
        self.nearness = nn.Parameter(torch.zeros(rows, columns))
        sizes = config.feature_size, *DEPTH_LAYERS * (DEPTH_WIDTH,)
        layers = [(nn.Conv2d(*pair, 3, padding=1), nn.GELU()) for pair in zip(sizes, sizes[1:])]
        tell = nn.Conv2d(DEPTH_WIDTH, 1, 1)
        nn.init.zeros_(tell.weight)
        nn.init.zeros_(tell.bias)  # type: ignore[arg-type]
        self.nearness_of_features = nn.Sequential(*(part for layer in layers for part in layer), tell)
        v, u = torch.meshgrid(_centres(rows), _centres(columns), indexing="ij")
        self.register_buffer("pixels", torch.stack([u, v, torch.ones_like(u)]).flatten(1), persistent=False)
        self.register_buffer("trials", torch.tensor(config.trials), persistent=False)
        self.pixels: torch.Tensor
        self.trials: torch.Tensor

    def forward(self, maps: torch.Tensor, motion: torch.Tensor, projections: torch.Tensor) -> torch.Tensor:
        """Maps of the same shape. `motion` (B, 3): dx, dy [m], dyaw [rad] in the ego frame before; `projections`
        (B, 3, 4) as of `features.cameras`, the camera of both frames."""
        with torch.autocast(maps.device.type, enabled=False):  # metres in half precision are none
            maps, motion = maps.float(), motion.float()
            return self._move(maps, motion, self._find_points(maps, projections), projections)

    @torch.no_grad()
    def try_motions(self, before: torch.Tensor, after: torch.Tensor, projections: torch.Tensor) -> torch.Tensor:
        """How badly each of the configured motions explains `after` (B, C, R, K) in each cell: (B, M, R, K), the
        logarithm of the squared error, around its mean over the motions."""
        with torch.autocast(before.device.type, enabled=False):
            points = self._find_points(before, projections)
            errors = [
                (self._move(before, motion.expand(len(before), -1), points, projections) - after).square().mean(dim=1)
                for motion in self.trials
            ]
        badness = torch.stack(errors, dim=1).clamp(min=MIN_ERROR).log()
        return badness - badness.mean(dim=1, keepdim=True)

    def _find_points(self, maps: torch.Tensor, projections: torch.Tensor) -> torch.Tensor:
        """Where what the cells show is (B, 3, R * K) [m]: of the later frame, in its ego frame. For want of its
        features those of the frame before tell how far away it is."""
        to_ray = torch.linalg.inv(projections[:, :, :3])
        centre = -to_ray @ projections[:, :, 3:]  # (B, 3, 1), the camera in the ego frame
        rays = to_ray @ self.pixels  # (B, 3, R * K), of depth 1
        learnt = NEARNESS_RATE * (self.nearness + self.nearness_of_features(maps)[:, 0]).flatten(1)
        near = (measure_nearness(rays, centre, self.street).log() + learnt).exp()
        depth = 1.0 / near.clamp(1.0 / self.street.far, 1.0 / self.street.near)
        return centre + rays * depth[:, None]

    @staticmethod
    def _move(
        maps: torch.Tensor, motion: torch.Tensor, points: torch.Tensor, projections: torch.Tensor
    ) -> torch.Tensor:
        seen = projections[:, :, :3] @ _to_frame_before(points, motion) + projections[:, :, 3:]
        places = seen[:, :2] / seen[:, 2:].clamp(min=MIN_DEPTH)  # (B, 2, R * K), 0 to 1 within the picture
        grid = (2.0 * places - 1.0).transpose(1, 2).unflatten(1, maps.shape[2:])
        moved: torch.Tensor = nn.functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)
        return moved


def measure_nearness(rays: torch.Tensor, centre: torch.Tensor, street: StreetConfig) -> torch.Tensor:
    """Inverse depth (B, N) [1/m] at which rays (B, 3, N) from `centre` (B, 3, 1) meet the street's ground or walls."""
    (_, across, up), (_, y, z) = rays.unbind(dim=1), centre.unbind(dim=1)
    ground = -up / (z - street.ground).clamp(min=0.1)
    left = across / (street.wall - y).clamp(min=0.1)
    right = -across / (street.wall + y).clamp(min=0.1)
    return torch.stack([ground, left, right]).amax(dim=0).clamp(min=1.0 / street.far)


def _to_frame_before(points: torch.Tensor, motion: torch.Tensor) -> torch.Tensor:
    """Points (B, 3, N) of the later ego frame in the one before."""
    x, y, z = points.unbind(dim=1)
    dx, dy, dyaw = (motion[:, index, None] for index in range(3))
    cosine, sine = dyaw.cos(), dyaw.sin()
    return torch.stack([dx + cosine * x - sine * y, dy + sine * x + cosine * y, z], dim=1)


def _centres(count: int) -> torch.Tensor:
    return (torch.arange(count) + 0.5) / count
