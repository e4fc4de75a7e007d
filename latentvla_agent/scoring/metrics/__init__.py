"""One file per sub-score. Each returns value, validity and the step of the first infraction, for N rollouts at once."""
