"""Networks, their registry, pretrained weights and metadata; importing the package imports no PyTorch."""
