"""LatentVLA-Agent: latent-action driving agents for NAVSIM, with an exact embedded PDM scorer."""

__version__ = "0.1.0"
