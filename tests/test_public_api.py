"""The public API: its names, that each has a docstring, and that importing it is light."""

import inspect
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

import imparfait
from imparfait.core.install import install_hint

NAMES = [
    "AUGMENTATIONS", "CORRUPTIONS", "MODELS", "PHOTO_CORRUPTIONS", "RECIPES",
    "ComputeConfig", "ConditionImages", "Corruption", "CounterRng", "Explanation",
    "ImageClassifier",
    "Job", "JobResult", "LabelledImages", "Prediction", "Predictor", "Scores", "TrainingSettings", "UserError",
    "as_classifier", "build", "compare", "core_suite", "corrupt", "ensemble", "evaluate", "explain", "export", "fold",
    "full_suite", "load_classifier", "load_data", "open_model", "plot_scores", "predict", "read", "run_job",
    "save_run", "search", "split", "train",
]  # fmt: skip
HEAVY = ("torch", "onnxruntime", "numpy", "scipy", "PIL", "pydantic", "matplotlib", "sklearn")


def python(program: str) -> str:
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_these_are_the_public_names() -> None:
    assert sorted(imparfait.__all__) == sorted(NAMES)
    assert set(dir(imparfait)) >= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_exists_and_has_a_docstring_of_its_own(name: str) -> None:
    value = getattr(imparfait, name)
    if isinstance(value, dict):
        assert value
        assert all(isinstance(key, str) for key in value)
    else:
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}(")  # which dataclasses would write themselves


FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(imparfait, name))]
LONGEST = 40  # characters of one parameter with its type and default, where the user reads them on hover


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_signature_is_read_at_a_glance(name: str) -> None:
    """No shapes of arrays, no names of modules, no default that fills a line."""
    signature = inspect.signature(getattr(imparfait, name))
    for parameter in signature.parameters.values():
        text = str(parameter)
        assert not re.search(r"jaxtyping|collections|typing\.|imparfait\.|numpy\.|torch\.|<function|object at", text)
        if parameter.default is inspect.Parameter.empty or name != "full_suite":
            assert len(text) <= 2 * LONGEST, text


def test_the_version_is_that_of_the_package() -> None:
    assert imparfait.__version__ == version("imparfait")


def test_importing_imparfait_imports_nothing_heavy() -> None:
    assert python(f"import sys, imparfait; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_help_works_without_pytorch() -> None:
    """Names that need it are left out."""
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'optuna', 'matplotlib'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import importlib.util\n"
        "found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'torch' else found(name)\n"
        "import imparfait, pydoc\n"
        "text = pydoc.plain(pydoc.render_doc(imparfait))\n"
        "print('class Predictor' in text, 'predict(' in text, 'explain(' in text, chr(10) + '    train(' in text)\n"
    )
    assert python(program) == "True True True False"


def test_a_name_that_needs_pytorch_says_so_without_it() -> None:
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import imparfait\n"
        "try:\n"
        "    imparfait.load_classifier\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)\n"
    )
    said = f"imparfait.load_classifier needs PyTorch, which is not installed; {install_hint('train')}"
    assert python(program) == said


def test_a_pretrained_model_is_loaded_by_name() -> None:
    model = imparfait.open_model("digits")
    assert model.classes == tuple("0123456789")
    assert model.threshold
    assert callable(imparfait.load_classifier("digits"))
