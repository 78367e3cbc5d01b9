"""scikit-learn models in .skops files: they predict as in scikit-learn; other types are refused by name."""

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, Perceptron
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from imparfait.core.errors import UserError
from imparfait.evaluation.external.load import open_external

skops_io = pytest.importorskip("skops.io")

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 200)
IMAGES = (RANDOM.normal(size=(200, 16)) + LABELS[:, None]).astype(np.float32)
NAMES = np.array(["one", "three", "two"])


class Own(ClassifierMixin, BaseEstimator):
    """A user's own estimator."""


MODELS: dict[str, tuple[Any, str]] = {
    "logistic regression": (make_pipeline(StandardScaler(), LogisticRegression()), "predict_proba"),
    "perceptron": (MLPClassifier((4,), solver="adam", max_iter=400), "predict_proba"),
    "forest on all cores": (RandomForestClassifier(5, n_jobs=-1), "predict_proba"),
    "boosted trees": (HistGradientBoostingClassifier(max_iter=3), "predict_proba"),
    "neighbours": (make_pipeline(PCA(3), KNeighborsClassifier(n_jobs=2)), "predict_proba"),
    "neighbours without a tree": (KNeighborsClassifier(algorithm="brute"), "predict_proba"),
    "naive Bayes": (GaussianNB(), "predict_proba"),
    "support vectors": (SVC(), "decision_function"),
    "linear perceptron": (Perceptron(), "decision_function"),
}


def written(path: Path, model: Any) -> Path:
    skops_io.dump(model, path)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UserError) as error, open_external(path):
        pass
    return str(error.value).removeprefix(f"{path}: ")


@pytest.mark.filterwarnings("ignore")  # of convergence
@pytest.mark.parametrize("name", MODELS)
def test_a_model_predicts_as_in_scikit_learn(tmp_path: Path, name: str) -> None:
    model, method = MODELS[name]
    model.fit(IMAGES.astype(np.float64), NAMES[LABELS])
    expected = getattr(model, method)(IMAGES.astype(np.float64))
    with open_external(written(tmp_path / "model.skops", model)) as function:
        assert function.declared.shape == (None, 16)
        assert function.declared.class_names == tuple(NAMES)
        assert function.declared.outputs == ("probabilities" if method == "predict_proba" else "logits")
        for count in (1, 3, 200):
            assert np.allclose(function(IMAGES[:count]), expected[:count], atol=1e-5)


def test_types_that_are_not_scikit_learns_are_named(tmp_path: Path) -> None:
    message = refused(written(tmp_path / "model.skops", make_pipeline(StandardScaler(), Own())))
    assert message.startswith(f"holds {Own.__module__}.Own, which may be code; expected scikit-learn's own estimators")


def test_a_type_that_runs_a_program_is_refused_and_not_run(tmp_path: Path) -> None:
    path, canary = written(tmp_path / "model.skops", GaussianNB().fit(IMAGES, LABELS)), tmp_path / "canary"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(members["schema.json"])
    schema["content"]["content"]["priors"] = {
        "__class__": "system", "__module__": "os", "__loader__": "FunctionNode", "content": f"touch {canary}",
        "__id__": 1,
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"schema.json": json.dumps(schema).encode()}).items():
            archive.writestr(name, content)
    assert "os.system, which may be code" in refused(path)
    assert not canary.exists()


def test_other_contents_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    assert refused(written(path, LinearRegression().fit(IMAGES, LABELS))).startswith("holds a LinearRegression")
    assert refused(written(path, GaussianNB())).startswith("holds a GaussianNB; expected a fitted classifier")
    assert refused(written(path, [1, 2])).startswith("holds a list; expected a fitted classifier of scikit-learn")
    content = written(path, GaussianNB().fit(IMAGES, LABELS)).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "or a broken one" in refused(path)
    path.write_bytes(b"nothing of the kind")
    assert refused(path) == "is no zip archive, as a .skops file is; write: skops.io.dump(model, 'model.skops')"
