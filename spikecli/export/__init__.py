"""Trained networks as ONNX, NIR and torch.export, for other programs; each is checked before it is kept."""
