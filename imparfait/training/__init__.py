"""Training: the loop, its settings and recipes, checkpoints, and run folders."""
