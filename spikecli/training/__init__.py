"""Training runs: batches, losses, schedules, run folders, and grids of runs."""
