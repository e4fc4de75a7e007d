"""Networks: constructors build modules and nothing else."""
