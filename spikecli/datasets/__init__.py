"""Data sets: reading, preparing, serving."""
