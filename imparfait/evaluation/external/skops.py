"""Loader of scikit-learn models in .skops files: loaded only where every type in them is known."""

# Runs in the sandbox. skops lists the types in a file without making any of them. It trusts scikit-learn's estimators,
# NumPy's and SciPy's functions and plain values; the few others that are allowed here hold numbers only. A file with
# any further type is refused, with its name.

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imparfait.core.errors import UserError
from imparfait.evaluation.external.archive import checked_archive
from imparfait.evaluation.external.base import DeclaredSpec, batches, checked_outputs, short_names

SCHEMA = "schema.json"
MAX_COMPRESSION = 1000  # unpacked to stored bytes; skops does not compress by default, and zeros may be many
MAX_SCHEMA_BYTES = 64 << 20
MAX_LISTED = 5  # types in an error message
# Parts of scikit-learn's trees, neighbours and multilayer perceptrons that skops does not list as its own.
DATA_TYPES = {
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
}


def prepare() -> None:
    """Import skops and scikit-learn; save, load and run a small model.

    Neighbours are found on a limited number of threads, for which scikit-learn looks at the libraries in its process
    once. A child may not.
    """
    import skops.io
    from sklearn.neighbors import KNeighborsClassifier

    warnings.simplefilter("ignore")
    model = KNeighborsClassifier(1, algorithm="brute").fit(np.eye(4), [0, 1, 0, 1])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warm.skops"
        skops.io.dump(model, path)
        load(str(path), 1)[1](np.eye(4, dtype=np.float32))


def load(path: str, threads: int) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """What the .skops file at `path` declares, and its function; raises UserError for a file that is refused."""
    import skops.io

    with checked_archive(path, ".skops file", MAX_COMPRESSION) as archive:
        if SCHEMA not in archive.namelist():
            raise UserError("is a zip archive that skops did not write", expected="a .skops file")
        if archive.getinfo(SCHEMA).file_size > MAX_SCHEMA_BYTES:
            raise UserError(f"has a {SCHEMA} that is too large", expected=f"at most {MAX_SCHEMA_BYTES >> 20} MiB")
        json.loads(archive.read(SCHEMA))
    untrusted = [name for name in skops.io.get_untrusted_types(file=path) if name not in DATA_TYPES]
    if untrusted:
        more = f" and {len(untrusted) - MAX_LISTED} more" if len(untrusted) > MAX_LISTED else ""
        raise UserError(
            f"holds {', '.join(untrusted[:MAX_LISTED])}{more}, which may be code",
            expected="scikit-learn's own estimators",
            hint="where you made it, evaluate its predict_proba function in Python",
        )
    model = skops.io.load(path, trusted=sorted(DATA_TYPES))
    method = next((name for name in ("predict_proba", "decision_function", "predict") if hasattr(model, name)), None)
    classes = getattr(model, "classes_", None)
    if method is None or not isinstance(classes, np.ndarray) or classes.ndim != 1:
        raise UserError(f"holds a {type(model).__name__}", expected="a fitted classifier of scikit-learn")
    model.set_params(**{name: 1 for name in model.get_params() if name.endswith("n_jobs")})  # more start programs
    run = getattr(model, method)

    def predict(images: np.ndarray) -> np.ndarray:
        outputs = np.concatenate([np.asarray(run(batch)) for batch in batches(images.astype(np.float64), None)])
        if method == "predict":
            return checked_outputs(np.searchsorted(classes, outputs), labels=True)
        return checked_outputs(outputs[:, None] if outputs.ndim == 1 else outputs, labels=False)

    features = getattr(model, "n_features_in_", None)
    declared = DeclaredSpec(
        shape=(None, None if features is None else int(features)),
        num_classes=len(classes),
        outputs={"predict_proba": "probabilities", "decision_function": "logits", "predict": "labels"}[method],
        class_names=short_names(tuple(str(name) for name in classes)),
    )
    return declared.model_dump(), predict
