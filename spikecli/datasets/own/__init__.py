"""Data sets of a user: found in her folders, split, shown and prepared."""
