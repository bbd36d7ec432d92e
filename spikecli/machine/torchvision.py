"""Import torchvision even if its operators were built for another device than torch."""

from __future__ import annotations

from types import ModuleType


def import_torchvision() -> ModuleType:
    """Return torchvision."""
    try:
        import torchvision
    except RuntimeError as error:
        # A torchvision built for CUDA beside a torch for the CPU lacks its operators, and looks for them on import.
        if "torchvision::" not in str(error):
            raise
        import torch

        for operator in ("torchvision::nms", "torchvision::qnms"):
            torch.library.define(operator, "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision
