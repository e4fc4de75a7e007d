"""Deformable cross-attention from points of the ego frame into several pictures, in plain torch.

Every query looks at P reference points (iPad: the corners of the ego box where it would stand). A point is looked up
in the one picture that holds it best, at offsets that the query chooses for each head; points that no picture holds
count nothing. The pictures' feature maps lie below each other in one map, so that one `grid_sample` serves all.
"""

from __future__ import annotations

from typing import Tuple

import torch
from torch import nn

MIN_DEPTH = 0.1  # m in front of a camera


class PictureAttention(nn.Module):
    """Queries (B, Q, d) look at reference points (B, Q, P, 3) in what `read` made of feature maps."""

    def __init__(self, width: int, num_heads: int, num_points: int):
        super().__init__()
        self.num_heads, self.num_points = num_heads, num_points
        self.offsets = nn.Linear(width, num_heads * num_points * 2)
        self.weights = nn.Linear(width, num_heads * num_points)
        self.value = nn.Conv2d(width, width, 1)
        self.output = nn.Linear(width, width)
        nn.init.zeros_(self.offsets.weight)
        nn.init.uniform_(self.offsets.bias, -1.0, 1.0)  # cells: heads begin at different places around the point

    def read(self, maps: torch.Tensor) -> torch.Tensor:
        """Values (B, C, d, h, w) of feature maps of that shape, made once for all looks at them."""
        value: torch.Tensor = self.value(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return value

    def forward(
        self, queries: torch.Tensor, points: torch.Tensor, values: torch.Tensor, projections: torch.Tensor
    ) -> torch.Tensor:
        """What the queries see, (B, Q, d). `points` [m] in the ego frame; `values` as `read` gives them;
        `projections` (B, C, 3, 4), see `features.cameras`."""
        batch, num_queries, width = queries.shape
        heads = self.num_heads
        stacked = values.transpose(1, 2).flatten(2, 3)  # (B, d, C * h, w)
        stacked = stacked.reshape(batch * heads, width // heads, *stacked.shape[2:])
        place, camera, is_seen = find_pictures(points, projections)
        offsets = self.offsets(queries).reshape(batch, num_queries, heads, self.num_points, 2)
        grid = _make_grid(place, camera, offsets, values.shape)
        sampled = nn.functional.grid_sample(stacked, grid.flatten(0, 1), align_corners=False)  # (B * heads, d', Q, P)
        weights = self._weigh(queries, is_seen).flatten(0, 1)  # (B * heads, Q, P)
        seen = (sampled * weights[:, None]).sum(dim=-1)  # (B * heads, d', Q)
        seen = seen.reshape(batch, width, num_queries).transpose(1, 2)
        output: torch.Tensor = self.output(seen)
        return output

    def _weigh(self, queries: torch.Tensor, is_seen: torch.Tensor) -> torch.Tensor:
        """Attention over the points, (B, heads, Q, P); a point out of sight takes its share and gives nothing."""
        logits = self.weights(queries).reshape(*queries.shape[:2], self.num_heads, self.num_points)
        weights = logits.softmax(dim=-1) * is_seen[:, :, None]
        return weights.transpose(1, 2)


def find_pictures(points: torch.Tensor, projections: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where points (B, Q, P, 3) of the ego frame are seen: place (B, Q, P, 2) in 0…1 of the picture, the camera
    (B, Q, P) in whose picture it is most central, and whether any camera sees it."""
    projected = torch.einsum("bcij,bqpj->bcqpi", projections[..., :3], points) + projections[:, :, None, None, :, 3]
    depth = projected[..., 2]
    places = projected[..., :2] / depth.clamp(min=MIN_DEPTH)[..., None]
    eccentricity = (places - 0.5).abs().amax(dim=-1)
    eccentricity = torch.where(depth > MIN_DEPTH, eccentricity, torch.full_like(eccentricity, torch.inf))
    nearest, camera = eccentricity.min(dim=1)
    index = camera[:, None, ..., None].expand(-1, 1, -1, -1, 2)
    return places.gather(1, index)[:, 0], camera, nearest <= 0.5


def _make_grid(
    place: torch.Tensor, camera: torch.Tensor, offsets: torch.Tensor, shape: Tuple[int, ...]
) -> torch.Tensor:
    """Places in the stacked map, (B, heads, Q, P, 2) in -1…1; none leaves its own picture."""
    _, num_cameras, _, height, width = shape
    cells = place.new_tensor([width, height])
    inside = place.clamp(0.0, 1.0)[:, :, None] * cells + offsets  # (B, Q, heads, P, 2) in cells
    column = inside[..., 0].clamp(0.5, width - 0.5)
    row = inside[..., 1].clamp(0.5, height - 0.5) + height * camera[:, :, None].to(inside.dtype)
    grid = torch.stack([column / width, row / (height * num_cameras)], dim=-1) * 2.0 - 1.0
    return grid.transpose(1, 2)
