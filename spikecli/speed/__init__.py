"""How fast and how large: timings, the floor under them, peak memory."""
