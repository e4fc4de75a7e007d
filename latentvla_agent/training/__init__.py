"""Losses, optimizers."""
