"""Evaluation of trained networks: predictions, scores, energy, time, robustness to damage."""
