"""Where the data that a name or a path means is, before anything is read: names, files, folders, what is in them."""

from difflib import get_close_matches
from pathlib import Path

from imparfait.core.errors import UserError

NAMES = ("mnist",)
"""Data sets that come with the package; without PyTorch they could not be asked for their names."""
KINDS = "class folders of images, a .csv or .parquet table, IDX or .npy files, or an .npz, .mat or .zip file"


def parts_of(data: str) -> list[str]:
    """The names and paths in `data`, of which there are several with + between them; raises UserError."""
    parts = data.split("+")
    if len(parts) == 1 or Path(data).exists():
        return [data]
    for part in parts:
        if not part or (part not in NAMES and not Path(part).exists()):
            raise UserError(
                f"{data}: no such file or folder as {part!r}",
                expected="folders of images and tables with + between them",
            )
    return parts


ELSEWHERE = {
    "fashion-mnist": "https://github.com/zalandoresearch/fashion-mnist",
    "fashionmnist": "https://github.com/zalandoresearch/fashion-mnist",
    "kmnist": "https://github.com/rois-codh/kmnist",
    "emnist": "https://www.nist.gov/itl/products-and-services/emnist-dataset",
    "qmnist": "https://github.com/facebookresearch/qmnist",
    "svhn": "http://ufldl.stanford.edu/housenumbers",
}
"""Data sets that people ask for by name, and where their authors publish them."""


def no_data(data: str) -> UserError:
    """The error for data that is not there, with the name that was probably meant."""
    path = Path(data)
    near = [] if path.suffix or len(path.parts) > 1 else get_close_matches(data, NAMES, n=1)
    if source := ELSEWHERE.get(data.lower().replace("_", "-")):
        said = f"{data}: does not come with imparfait, and nothing is downloaded"
        return UserError(said, hint=f"download its files from {source}, and name their folder")
    if near:
        return UserError(f"no data set is called {data!r}", hint=f"did you mean {near[0]!r}?")
    return UserError(f"{data}: no such file or folder; --data wants {KINDS}, or one of {', '.join(NAMES)}")


def check_data(data: str) -> None:
    """Raises UserError where `data` is certainly nothing: no name, no path, and in no archive or set of IDX files."""
    for part in parts_of(data):
        path = Path(part)
        if part in NAMES or path.exists():
            continue
        in_archive = any(parent.is_file() for parent in path.parents)
        begins = path.parent.is_dir() and any(file.name.startswith(path.name) for file in path.parent.iterdir())
        if not (in_archive or begins):
            raise no_data(part)
