"""Traffic of a town: SUMO in this process, and the smooth tracks of everybody in it."""
