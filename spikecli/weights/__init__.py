"""Weights with their settings: checkpoints, folding, where they come from."""
