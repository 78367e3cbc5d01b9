"""Two models by their predictions for the same files, from tables of any tool."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from scipy.stats import binomtest

from imparfait.core.errors import UserError
from imparfait.core.names import as_cell
from imparfait.evaluation.paired_predictions import compare_predictions
from imparfait.evaluation.prediction_files import read_predictions, read_truths
from imparfait.evaluation.scores import ConditionResult, Scores
from imparfait.evaluation.scores_file import write_scores
from imparfait.inference.results_file import csv_lines

TRUTHS = ["ant", "bee"] * 20
FILES = [f"images/{number}.png" for number in range(40)]


def write(path: Path, columns: dict[str, Sequence[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def wrong_on(places: Sequence[int]) -> list[str]:
    """Predictions that are wrong on these images only."""
    return [("bee" if truth == "ant" else "ant") if row in places else truth for row, truth in enumerate(TRUTHS)]


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """b is right on 12 images that a has wrong, and wrong on one that a has right."""
    first = write(tmp_path / "a.csv", {"file": FILES, "label": wrong_on(range(12)), "truth": TRUTHS})
    second = write(tmp_path / "b.csv", {"image_path": FILES[::-1], "prediction": wrong_on([20])[::-1]})
    return first, second


def test_files_are_paired_by_name_in_any_order_and_tested_exactly(tables: tuple[Path, Path]) -> None:
    found = compare_predictions(*map(read_predictions, tables))
    assert [model.correct for model in found.models] == [28, 39]
    assert (found.discordance.only_first, found.discordance.only_second) == (12, 1)  # b's, then a's
    assert found.verdict.p == pytest.approx(binomtest(1, 13).pvalue)
    assert found.verdict.is_significant
    assert found.verdict.better == "b"
    assert found.verdict.difference.mean == pytest.approx(11 / 40)
    assert {part.name: part.correct for part in found.by_class} == {"ant": (14, 19), "bee": (14, 20)}


def test_the_command_prints_a_table_a_verdict_and_json(tables: tuple[Path, Path]) -> None:
    printed = run("compare", *tables)
    assert "28 of 40" in printed
    assert "b is better than a by 27.50 points" in printed
    assert "only a is right on 1 file, only b on 12; McNemar's exact test" in printed
    content = json.loads(run("compare", *tables, "--json"))
    assert content["difference"]["significant"] is True
    assert content["only_one_right"] == {"a": 1, "b": 12}


ODD_CLASSES = ("@home", "'@home", "=1+1", "-3", " padded", "family \u200d name", r"\x0a", r"\tau")


def test_predictions_of_a_run_are_read_back_whatever_the_classes_are_called(tmp_path: Path) -> None:
    n = len(ODD_CLASSES)
    probabilities = np.eye(n, dtype=np.float32)
    sources, groups = np.arange(n), np.arange(n)
    scores = Scores((ConditionResult("clean", 0.0, sources, np.arange(n), probabilities, groups),), ODD_CLASSES)
    files = [f"{name.strip()}/1.png" for name in ODD_CLASSES]
    write_scores(tmp_path, scores, files)
    found = read_predictions(tmp_path / "predictions.csv")
    expected = tuple(name.strip() for name in ODD_CLASSES)
    assert found.classes == found.predicted == found.truths == expected
    assert list(found.files) == files
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities, probabilities)


def test_a_users_own_truths_have_the_names_as_they_are(tmp_path: Path) -> None:
    labels = ["@home", "family \u200d name", r"\tau"] * 2
    files = [f"{row}.png" for row in range(6)]
    own = write(tmp_path / "own.csv", {"image_path": files, "label": labels})
    tables = [
        write(tmp_path / f"{name}.csv", {"file": files, "label": list(map(as_cell, labels))}) for name in ("a", "b")
    ]
    compared = compare_predictions(*map(read_predictions, tables), *read_truths(own))
    assert [model.correct for model in compared.models] == [6, 6]


def test_labels_of_predict_are_read_back(tmp_path: Path) -> None:
    row = {"file": "@a/1.png", "model": "m", "predictions": [{"label": "@home", "score": 1.0}], "confident": True}
    (tmp_path / "p.csv").write_text("\n".join(csv_lines([row])))
    found = read_predictions(tmp_path / "p.csv")
    assert (found.files, found.predicted) == (("@a/1.png",), ("@home",))


def test_groups_that_agree_by_chance_prove_no_difference(tmp_path: Path) -> None:
    columns = {"file": FILES, "group": ["one"] * 20 + ["two"] * 20}
    first = write(tmp_path / "a.csv", columns | {"label": wrong_on([0, 20]), "truth": TRUTHS})
    second = write(tmp_path / "b.csv", columns | {"label": TRUTHS})
    found = compare_predictions(read_predictions(first), read_predictions(second))
    assert found.verdict.difference.mean == pytest.approx(0.05)  # one image of each group
    assert not found.verdict.is_significant


def test_with_groups_the_test_is_over_groups_and_says_so(tables: tuple[Path, Path], tmp_path: Path) -> None:
    groups = ["one"] * 12 + ["two"] * 14 + ["three"] * 14  # all of b's gain is in one group
    truths = write(tmp_path / "truth.csv", {"image_path": FILES, "label": TRUTHS, "group": groups})
    alone = compare_predictions(*map(read_predictions, tables))
    found = compare_predictions(*map(read_predictions, tables), *read_truths(truths))
    assert found.verdict.p > 0.05 > alone.verdict.p
    assert found.models[0].over_groups is not None
    assert found.models[0].over_groups.groups == 3
    assert "t test over 3 groups" in run("compare", *tables, "--truth", truths)


def test_classes_are_tested_over_groups_too(tables: tuple[Path, Path], tmp_path: Path) -> None:
    groups = ["one"] * 12 + ["two"] * 14 + ["three"] * 14  # the 6 bees that only b has right are all in one group
    alone = compare_predictions(*map(read_predictions, tables))
    truths = write(tmp_path / "truth.csv", {"image_path": FILES, "label": TRUTHS, "group": groups})
    found = compare_predictions(*map(read_predictions, tables), *read_truths(truths))
    assert min(part.p for part in found.by_class) > 0.05
    truths = write(tmp_path / "one.csv", {"image_path": FILES, "label": TRUTHS, "group": TRUTHS})
    of_one_group = compare_predictions(*map(read_predictions, tables), *read_truths(truths))
    assert [part.p for part in of_one_group.by_class] == [1, 1]  # nothing tells how much groups of a class differ
    bee = {part.name: part for part in alone.by_class}["bee"]
    assert bee.p == pytest.approx(2 * binomtest(0, 6).pvalue)  # Holm's, of two classes


def test_probabilities_give_the_prediction_the_log_loss_and_the_calibration_error(
    tables: tuple[Path, Path], tmp_path: Path
) -> None:
    sure = [0.9 if truth == "ant" else 0.2 for truth in TRUTHS]
    table = write(
        tmp_path / "c.csv", {"file": FILES, "p_ant": sure, "p_bee": [1 - each for each in sure], "truth": TRUTHS}
    )
    model = compare_predictions(read_predictions(table), read_predictions(tables[1])).models[0]
    assert model.correct == 40
    assert model.log_loss == pytest.approx(-np.mean([np.log(0.9), np.log(0.8)]))
    assert model.calibration_error == pytest.approx(0.15, abs=1e-6)
    assert model.calibration_error_by_chance is not None
    assert 0.05 < model.calibration_error_by_chance < 0.4  # of 40 images, by chance alone
    assert "by chance" in run("compare", table, tables[1])


def test_names_are_compared_by_the_ends_of_paths_where_none_is_the_same(
    tables: tuple[Path, Path], tmp_path: Path
) -> None:
    elsewhere = write(
        tmp_path / "c.csv", {"file": [f"/data/{name[7:]}" for name in FILES[:30]], "label": wrong_on([])[:30]}
    )
    found = compare_predictions(read_predictions(tables[0]), read_predictions(elsewhere))
    assert found.files == 30
    assert found.left_out == (10, 0)


def test_predictions_of_a_run_count_with_their_clean_images(tmp_path: Path) -> None:
    rows = {
        "corruption": ["clean", "clean", "fog", "fog"], "severity": [0, 0, 1, 1], "source": [3, 4, 3, 4],
        "truth": ["ant", "bee"] * 2, "p_ant": [0.9, 0.2, 0.1, 0.9], "p_bee": [0.1, 0.8, 0.9, 0.1],
    }  # fmt: skip
    found = read_predictions(write(tmp_path / "predictions.csv", rows))
    assert found.files == ("3", "4")
    assert found.predicted == ("ant", "bee")


BROKEN: dict[str, tuple[dict[str, Sequence[object]], str]] = {
    "no files": ({"label": ["ant"]}, "one that names the image"),
    "no predictions": ({"file": ["1"], "score": [1]}, "for the predicted class"),
    "a file twice": ({"file": ["1", "1"], "label": ["ant", "bee"]}, "each file once"),
    "no rows": ({"file": [], "label": []}, "a row for each image"),
    "an empty prediction": ({"file": ["1", "2"], "label": ["ant", ""]}, "a class for every file"),
    "logits": ({"file": ["1"], "p_a": [7.1], "p_b": [-2]}, "sum 1"),
    "no numbers": ({"file": ["1"], "p_a": ["x"], "p_b": [0]}, "numbers in the columns"),
    "NaN": ({"file": ["1"], "p_a": ["nan"], "p_b": [0.5]}, "sum 1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_table_that_cannot_be_compared_is_refused_with_what_is_expected(case: str, tmp_path: Path) -> None:
    columns, expected = BROKEN[case]
    with pytest.raises(UserError, match=expected):
        read_predictions(write(tmp_path / "a.csv", columns))


def test_missing_and_contradicting_truths_and_classes_are_refused(tables: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = map(read_predictions, tables)
    with pytest.raises(UserError, match=r"no column of truths.*--truth TABLE"):
        compare_predictions(second, second)
    other = read_predictions(write(tmp_path / "c.csv", {"file": FILES, "label": TRUTHS, "truth": wrong_on([5])}))
    with pytest.raises(UserError, match=r"images/5\.png: bee is its truth in .*a\.csv, and ant in"):
        compare_predictions(first, other)
    with pytest.raises(UserError, match=r"files without a truth, such as images/0\.png"):
        compare_predictions(first, second, {"images/3.png": "ant"})
    with pytest.raises(UserError, match="the same names of classes in both"):
        compare_predictions(first, second, dict.fromkeys(FILES, "Ameise"))
    strangers = read_predictions(write(tmp_path / "d.csv", {"file": ["x.png"], "label": ["ant"]}))
    with pytest.raises(UserError, match="no file is in both tables"):
        compare_predictions(first, strangers)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(("a.csv", "quick"), "two tables of predictions"), (("quick", "best", "--truth", "a.csv"), "with it")],
)
def test_tables_and_recipes_are_not_mixed(
    names: tuple[str, ...], expected: str, tables: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables[0].parent)
    with pytest.raises(UserError, match=expected):
        run("compare", *names)


@pytest.mark.parametrize("option", [("--seeds", "2"), ("--data", "mnist"), ("--final",)], ids=lambda words: words[0])
def test_options_of_a_training_are_refused_with_tables(option: tuple[str, ...], tables: tuple[Path, Path]) -> None:
    with pytest.raises(UserError, match=f"{option[0]} with two tables of predictions"):
        run("compare", *tables, *option)
