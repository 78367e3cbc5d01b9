"""How to install what is missing: from the repository, as the package is on no index yet."""

WITH_TORCH = ("train", "keras", "timm")  # extras that bring PyTorch, of which pip takes a build with CUDA on Linux


def install_hint(extra: str) -> str:
    """What to write for an extra, such as "train"; whoever owned the name on an index could run code otherwise."""
    first = "on Linux PyTorch's CPU build first (see README), then " if extra in WITH_TORCH else ""
    return f"write in the folder of the repository: {first}pip install -c constraints.txt -e '.[{extra}]'"
