"""TransFuser (Chitta et al., PAMI 2023) with NAVSIM's heads: picture and lidar meet in transformers."""

from __future__ import annotations

import math
from typing import Dict, Optional, Union

import torch
from torch import nn

from latentvla_agent.data.scene import EgoStatusIndex, PoseIndex
from latentvla_agent.errors import ConfigError
from latentvla_agent.models.motion import MotionIndex, integrate_motion
from latentvla_agent.models.transfuser_config import TransfuserConfig
from latentvla_agent.models.transfuser_encoders import IMAGE_FEATURES, LateEncoder, PictureTokens, StagedEncoder
from latentvla_agent.models.transfuser_heads import AgentHead, BEVHead, make_perceptron

Tensors = Dict[str, torch.Tensor]
EGO_DYNAMICS = slice(EgoStatusIndex.VELOCITY_X, EgoStatusIndex.LEFT)  # velocity and acceleration


class Transfuser(nn.Module):
    """Features of `TransfuserFeatures`, batched, to a trajectory and what its losses need; see `forward`.

    Attribute `fusion`, None here, may be a module that lets the bird's-eye-view tokens (B, 64, D) see more:
    fusion(tokens, features) gives tokens of the same shape.
    """

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        self.config, self.num_poses, self.query_width = config, config.num_poses, config.model_size
        self.encoder: Union[LateEncoder, StagedEncoder]
        self.encoder = LateEncoder(config) if config.image_backbone.frozen else StagedEncoder(config)
        size, tokens = config.model_size, config.bev_tokens[0] * config.bev_tokens[1] + 1
        self.bev_projection = nn.Conv2d(self.encoder.channels, size, 1)
        self.status_projection = nn.Linear(len(EgoStatusIndex), size)
        self.fusion: Optional[nn.Module] = None
        self.picture = PictureTokens(config, self.encoder) if config.decoder_sees_picture else None
        self.token_embedding = nn.Parameter(torch.randn(1, tokens, size))  # the ego status is the last token
        self.queries = nn.Parameter(torch.randn(1, 1 + config.num_agents, size))  # the trajectory is the first
        self.decoder = nn.ModuleList(
            nn.TransformerDecoderLayer(
                size, config.decoder_heads, config.feedforward_size, config.decoder_dropout, batch_first=True
            )
            for _ in range(config.decoder_layers)
        )
        columns = len(PoseIndex) if config.motion is None else len(MotionIndex)
        self.trajectory_head = make_perceptron(size, config.feedforward_size, config.num_poses * columns)
        self.agent_head = AgentHead(config)
        self.bev_head = BEVHead(config, self.encoder.channels)

    @property
    def cacheable(self) -> bool:
        """Whether `encode` gives something: nothing is trained before the picture's features."""
        return isinstance(self.encoder, LateEncoder)

    @torch.no_grad()
    def encode(self, features: Tensors) -> Tensors:
        """What a cache may hold in place of "image": {"image_features": (B, C, h, w)} float32."""
        if not isinstance(self.encoder, LateEncoder):
            raise ConfigError("this TransFuser trains its image_backbone: its features cannot be cached")
        return self.encoder.encode(features)

    def forward(self, features: Tensors) -> Tensors:
        """One scene per row of the batch.

        Takes "image" (B, 3, H, W) uint8 (or "image_features" of `encode`), "lidar" (B, 1, G, G) uint8 counts and
        "ego_status" (B, 8). Gives "trajectory" (B, T, 3) in the ego frame; for the losses "agent_boxes" (B, 30, 5),
        "agent_logits" (B, 30) and "bev_logits" (B, 7, 128, 256).
        """
        if self.cacheable and IMAGE_FEATURES not in features:
            features = {**features, **self.encode(features)}
        bev = self.encoder(features)
        queries = self._decode(bev, features)
        boxes, logits = self.agent_head(queries[:, 1:])
        poses = self._predict_poses(queries[:, 0], features["ego_status"])
        predictions = {"trajectory": poses, "agent_boxes": boxes, "agent_logits": logits}
        return {**predictions, "bev_logits": self.bev_head(bev)}

    def _decode(self, bev: torch.Tensor, features: Tensors) -> torch.Tensor:
        """Queries (B, 31, D) that have read the tokens of the bird's-eye view and the ego status."""
        tokens = self.bev_projection(bev).flatten(2).transpose(1, 2)
        if self.fusion is not None:
            tokens = self.fusion(tokens, features)
        status = self.status_projection(self._hide_dynamics(features["ego_status"]))
        tokens = torch.cat([tokens, status[:, None]], dim=1) + self.token_embedding
        if self.picture is not None:
            tokens = torch.cat([tokens, self.picture(features[IMAGE_FEATURES])], dim=1)
        queries = self.queries.expand(len(tokens), -1, -1)
        for layer in self.decoder:
            queries = layer(queries, tokens)
        return queries

    def _hide_dynamics(self, status: torch.Tensor) -> torch.Tensor:
        """Dropout of whole scenes, without rescaling: a planner that may lean on its speed does not learn to look."""
        if not self.training or not self.config.ego_status_dropout:
            return status
        hidden = torch.rand(len(status), 1, device=status.device) < self.config.ego_status_dropout
        status = status.clone()
        status[:, EGO_DYNAMICS] = status[:, EGO_DYNAMICS].masked_fill(hidden, 0.0)
        return status

    def _predict_poses(self, query: torch.Tensor, ego_status: torch.Tensor) -> torch.Tensor:
        raw = self.trajectory_head(query).unflatten(-1, (self.num_poses, -1))
        if self.config.motion is not None:
            return integrate_motion(raw, ego_status, self.config.motion)
        position, heading = raw.split([PoseIndex.HEADING, 1], dim=-1)
        return torch.cat([position, heading.tanh() * math.pi], dim=-1)
