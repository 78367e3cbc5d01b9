"""How to install what is missing: from the repository, as the package is on no index yet."""


def install_hint(extra: str) -> str:
    """What to write for an extra, such as "train"; whoever owned the name on an index could run code otherwise."""
    first = "on Linux PyTorch's CPU build first (see README), then " if extra in ("train", "keras") else ""
    return f"write in the folder of the repository: {first}pip install -c constraints.txt -e '.[{extra}]'"
