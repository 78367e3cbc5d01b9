"""Training: the loop, its settings and recipes, checkpoints, and the run folder it leaves."""
