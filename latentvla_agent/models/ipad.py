"""iPad: proposals that are refined by looking at the pictures where they lead, and a scorer that chooses one.

Method page, "The two planners" (iPad, arXiv 2505.15111): 64 proposals of 8 poses are 512 queries; one refiner, applied
K times, turns queries into poses and looks at the corners of the ego box there; heads predict every PDM sub-score.
"""

from __future__ import annotations

from typing import Dict, List, Optional

import torch
from torch import nn

from latentvla_agent.models.backbones import make_backbone, make_normalization
from latentvla_agent.models.blocks import split_heads
from latentvla_agent.models.deformable_attention import PictureAttention
from latentvla_agent.models.ipad_config import EgoBoxConfig, IPadConfig
from latentvla_agent.models.motion import MotionIndex, integrate_motion

POSE_SIZE, NUM_CORNERS = 3, 4  # x, y, heading
AREAS = ("off_road", "off_route")
HIT_SIZE = 6  # whether, x, y, heading, length, width of what is hit

Tensors = Dict[str, torch.Tensor]


class IPad(nn.Module):
    """See `forward` for what goes in and what comes out.

    `fusion`, if set, is called once before the refinements, or before each of them where the config says so, with all
    queries (B, N * T, d) and the features; it gives queries.
    """

    def __init__(self, config: IPadConfig):
        super().__init__()
        self.config, self.num_poses, self.query_width = config, config.num_poses, config.width
        self.normalization = make_normalization(config.backbone)
        self.backbone = make_backbone(config.backbone)
        self.neck = make_neck(self.backbone.channels[-1], config)
        self.camera_embedding = nn.Parameter(0.1 * torch.randn(config.num_cameras, config.width, 1, 1))
        self.ego_encoder = make_mlp(config.ego_status_size, config.width, config.width)
        self.proposal_embedding = nn.Parameter(torch.randn(config.num_proposals, config.num_poses, config.width))
        self.context = PictureContext(config) if min(config.context_grid) > 0 else None
        self.fusion: Optional[nn.Module] = None
        self.refiner = ProposalRefiner(config)
        self.score_head = make_mlp(config.width, config.width, len(config.scores))
        self.area_head = make_mlp(config.width, config.width, len(AREAS))
        self.hit_head = make_mlp(config.width, config.width, HIT_SIZE)
        findings = config.num_poses * len(AREAS) + 1
        self.findings = nn.Linear(findings, config.width) if config.score_knows_findings else None

    def encode(self, features: Tensors) -> Tensors:
        """What a cache may keep of the pictures (B, C, 3, H, W): `image_features` (B, C, ch, h, w)."""
        pictures = self.normalization(features["images"].flatten(0, 1))
        maps = self.backbone(pictures)[-1]
        return {"image_features": maps.unflatten(0, features["images"].shape[:2])}

    def forward(self, features: Tensors) -> Tensors:
        """Plan: `images` uint8 or `image_features`, `projections`, `ego_status` and what `fusion` reads give

        `trajectory` (B, T, 3), the proposal of the highest score; `proposals` (B, K, N, T, 3), those of the last
        refinement last; logits `scores` (B, N, S) in the order of the config, `areas` (B, N, T, 2), `hits` (B, N, 6).
        """
        if "image_features" not in features:
            features = {**features, **self.encode(features)}
        maps, ego = self._embed_pictures(features["image_features"]), self._embed_ego(features["ego_status"])
        queries = self._make_queries(ego, maps)
        values = self.refiner.pictures.read(maps)
        proposals: List[torch.Tensor] = []
        for index in range(self.config.num_refinements):
            if self.fusion is not None and (index == 0 or self.config.fuse_every_refinement):
                queries = self.fusion(queries, features)
            queries, poses = self.refiner(queries, values, features)
            proposals.append(poses)
        return self._read_heads(queries, torch.stack(proposals, dim=1))

    def _embed_pictures(self, maps: torch.Tensor) -> torch.Tensor:
        """(B, C, ch, h, w) to (B, C, d, h, w)."""
        embedded = self.neck(maps.flatten(0, 1).to(self.camera_embedding.dtype))
        return embedded.unflatten(0, maps.shape[:2]) + self.camera_embedding

    def _embed_ego(self, ego_status: torch.Tensor) -> torch.Tensor:
        """(B, 1, d)."""
        if self.training and self.config.ego_dropout > 0.0:
            is_kept = torch.rand_like(ego_status[:, :1]) >= self.config.ego_dropout
            ego_status = ego_status * is_kept
        embedded: torch.Tensor = self.ego_encoder(ego_status)[:, None]
        return embedded

    def _make_queries(self, ego: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """(B, N * T, d): what each pose of each proposal starts from."""
        queries = self.proposal_embedding.flatten(0, 1) + ego
        return queries if self.context is None else self.context(queries, ego, maps)

    def _read_heads(self, queries: torch.Tensor, proposals: torch.Tensor) -> Tensors:
        by_pose = queries.unflatten(1, (self.config.num_proposals, self.num_poses))
        whole = by_pose.amax(dim=2)
        areas, hits = self.area_head(by_pose), self.hit_head(whole)
        if self.findings is not None:  # these heads learn from their own labels
            whole = whole + self.findings(torch.cat([areas.flatten(2), hits[..., :1]], dim=-1).detach())
        scores = self.score_head(whole)
        best = scores[..., -1].argmax(dim=1)
        return {
            "trajectory": proposals[torch.arange(len(best), device=best.device), -1, best],
            "proposals": proposals,
            "scores": scores,
            "areas": areas,
            "hits": hits,
        }


class ProposalRefiner(nn.Module):
    """Queries to poses; then poses and queries look at each other and at the pictures."""

    def __init__(self, config: IPadConfig):
        super().__init__()
        self.config = config
        num_points = NUM_CORNERS * len(config.box.heights)
        self.pose_head = make_mlp(config.width, config.width, POSE_SIZE if config.motion is None else len(MotionIndex))
        self.pose_encoder = make_mlp(POSE_SIZE + 1, config.width, config.width)
        self.among_poses = SelfAttention(config)
        self.among_proposals = SelfAttention(config)
        self.pictures = PictureAttention(config.width, config.num_heads, num_points)
        self.picture_norm = nn.LayerNorm(config.width)
        self.feedforward = make_mlp(config.width, config.feedforward_width, config.width)
        self.feedforward_norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, queries: torch.Tensor, values: torch.Tensor, features: Tensors) -> List[torch.Tensor]:
        """Queries (B, N * T, d), refined, and the poses (B, N, T, 3) that they stood for before."""
        count = (self.config.num_proposals, self.config.num_poses)
        poses = self._place(self.pose_head(queries), features["ego_status"])
        where = poses.detach()  # the pictures are looked at there; poses learn from their own loss
        queries = queries + self.pose_encoder(_normalise(where))
        grid = self.among_poses(queries.unflatten(1, count).flatten(0, 1))  # along each proposal
        grid = grid.unflatten(0, (-1, count[0])).transpose(1, 2)  # (B, T, N, d)
        grid = self.among_proposals(grid.flatten(0, 1)).unflatten(0, (-1, count[1]))
        queries = grid.transpose(1, 2).flatten(1, 2)
        seen = self.pictures(
            self.picture_norm(queries), place_box(where, self.config.box), values, features["projections"]
        )
        queries = queries + self.dropout(seen)
        queries = queries + self.dropout(self.feedforward(self.feedforward_norm(queries)))
        return [queries, poses.unflatten(1, count)]

    def _place(self, raw: torch.Tensor, ego_status: torch.Tensor) -> torch.Tensor:
        """Poses (B, N * T, 3)."""
        if self.config.motion is None:
            return raw
        steps = raw.unflatten(1, (self.config.num_proposals, self.config.num_poses))
        return integrate_motion(steps, ego_status, self.config.motion).flatten(1, 2)


class SelfAttention(nn.Module):
    """Pre-normed attention among the tokens of a sequence (B, L, d), with a residual."""

    def __init__(self, config: IPadConfig):
        super().__init__()
        self.num_heads, self.dropout = config.num_heads, config.dropout
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens of the same shape."""
        queries, keys, values = split_heads(self.project(self.norm(tokens)), self.num_heads)
        dropout = self.dropout if self.training else 0.0
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)
        output: torch.Tensor = tokens + self.output(mixed.transpose(1, 2).flatten(2))
        return output


class PictureContext(nn.Module):
    """What no pose of the ego touches, such as a signal: coarse tokens of all pictures, read once by every query.

    The tokens are read with the ego status as the question, and with the proposals' own embeddings; D, not in iPad.
    """

    def __init__(self, config: IPadConfig):
        super().__init__()
        rows, columns = config.context_grid
        self.pool = nn.AdaptiveAvgPool2d(config.context_grid)
        self.places = nn.Parameter(0.1 * torch.randn(config.num_cameras * rows * columns, config.width))
        self.norm = nn.LayerNorm(config.width)
        self.mix = SelfAttention(config)
        self.attention = nn.MultiheadAttention(config.width, config.num_heads, batch_first=True)

    def forward(self, queries: torch.Tensor, ego: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Queries (B, Q, d) with what they saw; `ego` (B, 1, d); maps (B, C, d, h, w)."""
        tokens = self.pool(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])  # (B, C, d, rows, columns)
        tokens = self.norm(tokens.permute(0, 1, 3, 4, 2).flatten(1, 3) + self.places)
        tokens = self.mix(torch.cat([ego, tokens], dim=1))
        seen, _ = self.attention(queries, tokens, tokens, need_weights=False)
        output: torch.Tensor = queries + seen
        return output


def place_box(poses: torch.Tensor, box: EgoBoxConfig) -> torch.Tensor:
    """Corners at all heights (B, Q, P, 3) of the ego box at poses (B, Q, 3) of the rear axle."""
    sides = [(x, y) for x in (box.front, box.rear) for y in (box.half_width, -box.half_width)]
    local = poses.new_tensor([(x, y, z) for z in box.heights for x, y in sides])
    cos, sin = poses[..., 2, None].cos(), poses[..., 2, None].sin()
    x = poses[..., 0, None] + cos * local[:, 0] - sin * local[:, 1]
    y = poses[..., 1, None] + sin * local[:, 0] + cos * local[:, 1]
    return torch.stack([x, y, local[:, 2].expand_as(x)], dim=-1)


def _normalise(poses: torch.Tensor) -> torch.Tensor:
    """Numbers around one (..., 4) of poses (..., 3)."""
    x, y, heading = poses.unbind(dim=-1)
    return torch.stack([x / 20.0, y / 10.0, heading.cos(), heading.sin()], dim=-1)


def make_neck(channels: int, config: IPadConfig) -> nn.Sequential:
    """Feature maps of a backbone to the planner's width, with a look at the neighbours."""
    width, kernel = config.width, config.neck_kernel
    return nn.Sequential(
        nn.Conv2d(channels, width, 1),
        nn.GroupNorm(1, width),
        nn.GELU(),
        nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=config.neck_groups),
    )


def make_mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))
