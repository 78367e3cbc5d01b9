"""Names of models and data as parts of the names of files."""

import pytest

from imparfait.core.names import as_file_name


@pytest.mark.parametrize("text", ["数" * 80, "a" * 300, "é" * 121, "a/b", "😀" * 40, "caf\udce9" * 50], ids=ascii)
def test_a_part_of_a_files_name_has_few_bytes_and_no_slash(text: str) -> None:
    shown = as_file_name(text, 80)
    assert 0 < len(shown.encode()) <= 80
    assert "/" not in shown
    assert shown[:3] == text[:3].replace("/", "-")
