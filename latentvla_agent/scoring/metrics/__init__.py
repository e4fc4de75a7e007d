"""One file per sub-score: a kernel that returns the value of one rollout and the step of its first infraction."""
