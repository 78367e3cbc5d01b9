"""Import torchvision next to a CPU build of PyTorch; import this module first.

The torchvision on PyPI is compiled for PyPI's PyTorch with CUDA. Next to the CPU build its operators cannot be loaded,
and it fails when it describes two of them, for boxes. Image transforms and loaders need none of them.
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
