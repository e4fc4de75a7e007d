"""A static site to look at evaluations, and logs of single scenes in three dimensions."""
