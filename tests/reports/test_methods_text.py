"""The methods paragraph of a run says what its files say."""

import json
from pathlib import Path

import pytest

from imparfait.core.compute import ComputeConfig
from imparfait.core.errors import UserError
from imparfait.evaluation.scores_file import ConditionRecord, ScoresFile
from imparfait.reports.methods_text import methods_paragraph
from imparfait.training.manifest import DataManifest, RunManifest
from imparfait.training.settings import TrainingSettings

SHA = "0" * 64


def write_run(folder: Path, final: bool = False, conditions: int = 3, **changes: object) -> Path:
    """The files of a run that the paragraph is made of; of 1,000 images 990, 980 and 970 are correct."""
    manifest = RunManifest(
        recipe="quick",
        settings=TrainingSettings.model_validate({"epochs": 2, "label_smoothing": 0} | changes),
        compute=ComputeConfig(),
        data=DataManifest(name="mnist", images=47500, sha256=SHA),
        final=final,
        hash=SHA,
    )
    names = [("clean", 0.0), ("geometric", 0.5), ("shrunk", 1.0)][:conditions]
    records = [
        ConditionRecord(
            corruption=name, severity=severity, correct=990 - 10 * i, total=1000, interval=(0.9, 1.0), confusion=[[1]]
        )
        for i, (name, severity) in enumerate(names)
    ]
    scores = ScoresFile(mean=0.98, mean_interval=(0.975, 0.985), classes=("0",), conditions=records)
    (folder / "settings.json").write_text(manifest.model_dump_json())
    (folder / "scores.json").write_text(scores.model_dump_json())
    (folder / "environment.json").write_text(json.dumps({"imparfait": "1.2.3", "torch": "2.13.0"}))
    return folder


def test_it_has_the_data_the_settings_the_versions_and_the_result(tmp_path: Path) -> None:
    text = methods_paragraph(write_run(tmp_path))
    for part in (
        "trained the network petit on 47,500 images of mnist for 2 epochs with the augmentation core",
        "batches of 128, learning rate 0.012, weight decay 0.02",
        "core and seed 0.",
        "imparfait 1.2.3 and PyTorch 2.13.0",
        "1,000 validation images was: clean 99.00 %, geometric (severity 0.5) 98.00 %, shrunk (severity 1) 97.00 %",
        "mean 98.00 % (95 % interval over images: 97.50 – 98.50 %); the test set was not used.",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"final": True}, "1,000 test images"),
        ({"conditions": 1}, "On 1,000 validation images the accuracy was 98.00 %"),
        ({"epochs": 1}, "for 1 epoch with"),
        ({"label_smoothing": 0.05}, ", label smoothing of 0.05."),
        ({"ood_fraction": 0.1}, ", 10 % out-of-distribution images."),
        ({"schedule": "constant"}, "a constant learning rate"),
    ],
)
def test_what_differs_is_said(tmp_path: Path, changes: dict[str, object], part: str) -> None:
    assert part in methods_paragraph(write_run(tmp_path, **changes))  # type: ignore[arg-type]


def test_a_final_run_does_not_say_that_the_test_set_was_not_used(tmp_path: Path) -> None:
    assert "not used" not in methods_paragraph(write_run(tmp_path, final=True))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        methods_paragraph(tmp_path)
