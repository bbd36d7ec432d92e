"""Data and results as pictures."""
