"""Training runs: batches, losses, schedule, what is kept of them, and grids of them."""
