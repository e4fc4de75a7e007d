"""Evaluation: agents in, one row per scene out, complete or with a non-zero exit status."""
