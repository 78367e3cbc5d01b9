"""Import torchvision beside a PyTorch that it was not built for: before it, whoever needs it imports this.

PyPI's torchvision is compiled for PyPI's PyTorch, with CUDA; beside the CPU build its own operators cannot be loaded,
and it then fails over two of them, for boxes, that it wants to describe. What alters and loads images needs none.
"""

import torch

try:
    import torchvision
except RuntimeError:
    operators = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision

__all__ = ["torchvision"]
