"""Reports of training runs: curves, scores, accuracy against time steps."""
