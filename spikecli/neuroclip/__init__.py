"""Event recordings named by CLIP: features, zero-shot, few-shot (NeuroCLIP, 2306.12073)."""
