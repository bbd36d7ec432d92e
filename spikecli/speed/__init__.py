"""Speed and memory: timings, the lower bound of matrix products, peak memory."""
