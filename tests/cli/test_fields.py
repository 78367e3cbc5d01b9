"""`imparfait fields`: what it prints, how it ends, and mistakes."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.commands import refused
from helpers.forms import file_bytes, region, sheet
from helpers.server import Address


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(file_bytes(sheet()))
    return tmp_path


@pytest.mark.parametrize("saves", [True, False])
def test_the_address_is_printed_and_after_ctrl_c_the_next_command(home: Path, saves: bool) -> None:
    command = [sys.executable, "-m", "imparfait", "fields", "scans/a.png", "--out", "new.json", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        line = process.stdout.readline()
        assert line.startswith("fields on scans/a.png: http://127.0.0.1:")
        port, _, rest = line.split("127.0.0.1:")[1].split(" ")[0].partition("/")
        if saves:
            content = json.dumps({"fields": [region("meter", 50, 40, 130, 300)]}).encode()
            address = Address(int(port))
            assert address.request("POST", f"/{rest}save", content, Content_Type="application/json").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        printed = process.stderr.read()
    assert Path("new.json").exists() == saves
    following = "1 field: new.json\nnext: imparfait read --fields new.json scans --csv forms.csv "
    assert printed.startswith(following if saves else "no fields are saved\n")


def test_an_example_that_is_no_page_and_a_foreign_file_are_refused(home: Path) -> None:
    assert "none.png: cannot be read" in refused("fields", "none.png")
    assert "scans: is no regular file" in refused("fields", "scans")
    assert "a.png: has no page 2" in refused("fields", "scans/a.png", "--page", "2")
    Path("fields.json").write_text("[]")
    assert "fields.json: has no list of fields" in refused("fields", "scans/a.png")
