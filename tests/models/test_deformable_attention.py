"""Points of the ego frame are found in the right picture, at the right place."""

from __future__ import annotations

import pytest
import torch

from latentvla_agent.models.deformable_attention import PictureAttention, find_pictures

# Two cameras, at the origin: one looks along x, one back; u grows to the right of the picture, v downwards.
FRONT = [[0.5, -1.0, 0.0, 0.0], [0.5, 0.0, -1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
BACK = [[-0.5, 1.0, 0.0, 0.0], [-0.5, 0.0, -1.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]
CAMERAS = torch.tensor([[FRONT, BACK]])


def test_a_point_is_seen_by_the_camera_that_looks_there() -> None:
    points = torch.tensor([[[[10.0, 0.0, 0.0], [-10.0, 2.0, 1.0], [0.0, 10.0, 0.0], [0.05, 0.0, 0.0]]]])
    place, camera, is_seen = find_pictures(points, CAMERAS)
    assert is_seen.tolist() == [[[True, True, False, False]]], "beside the car, and too near, is out of sight"
    assert camera[0, 0, :2].tolist() == [0, 1]
    torch.testing.assert_close(place[0, 0, 0], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(place[0, 0, 1], torch.tensor([0.5 + 0.2, 0.5 - 0.1]))


def test_a_missing_camera_sees_nothing() -> None:
    points = torch.tensor([[[[10.0, 0.0, 0.0]]]])
    _, _, is_seen = find_pictures(points, torch.zeros(1, 2, 3, 4))
    assert not is_seen.any()


@pytest.mark.parametrize("camera, x", ((0, 10.0), (1, -10.0)))
def test_what_is_read_is_what_lies_there(camera: int, x: float) -> None:
    """With weights that pass values through, a query reads the cell that its point falls into, and no other picture."""
    width = 2
    attention = PictureAttention(width, num_heads=1, num_points=1)
    with torch.no_grad():
        attention.offsets.bias.zero_()
        for layer in (attention.value, attention.output):
            layer.weight.copy_(torch.eye(width).reshape(layer.weight.shape))
            layer.bias.zero_()  # type: ignore[union-attr]
    maps = torch.zeros(1, 2, width, 3, 5)
    maps[0, camera, :, 1, 2] = torch.tensor([7.0, -3.0])  # the middle cell
    seen = attention(torch.zeros(1, 1, width), torch.tensor([[[[x, 0.0, 0.0]]]]), attention.read(maps), CAMERAS)
    torch.testing.assert_close(seen[0, 0], torch.tensor([7.0, -3.0]))


def test_nothing_in_sight_gives_no_gradient_that_is_not_a_number() -> None:
    attention = PictureAttention(4, num_heads=2, num_points=1)
    queries = torch.randn(1, 3, 4, requires_grad=True)
    seen = attention(queries, torch.zeros(1, 3, 1, 3), attention.read(torch.randn(1, 2, 4, 3, 5)), CAMERAS)
    seen.sum().backward()
    assert queries.grad is not None and torch.isfinite(queries.grad).all()
    torch.testing.assert_close(seen, attention.output.bias.expand_as(seen))
