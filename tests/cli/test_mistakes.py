"""Mistakes of users of models, one a line: what is said of it, and what it is told to write instead.

PyTorch takes seconds to import: mistakes that can be seen without it are refused before.
"""

import pytest
from helpers.mistakes import Mistake, Outcome, provoke, read_table

from imparfait.cli.main import GROUPS

MISTAKES = read_table(r"""
predict nope.png | nope.png: there is no such file | expected images, or folders with images
predict seven.png nope.png | nope.png: there is no such file | expected images, or folders with images
predict empty | empty: no images in there | expected files that end in .bmp, .gif, .jpeg
predict form.pdf | form.pdf: is a PDF | export its pages as PNG
predict text.png | text.png: is not an image: it looks like text | expected PNG, JPEG, BMP, GIF, WEBP, TIFF or PPM
predict https://example.org/7.png | https://example.org/7.png: is an address | download the image, and name its file
predict seven.png --model model.pt | model.pt: is no model of imparfait | imparfait evaluate model.pt
predict seven.png --model runs | runs: no classifier there; it has 2 runs | name one, such as runs/
predict seven.png --model digit | digit: no such model | did you mean 'digits'?
predict seven.png --model nope.onnx | nope.onnx: cannot be read | expected an .onnx file that imparfait exported
predict seven.png --model text.onnx | text.onnx: is no ONNX file, or a broken one | export it again
predict seven.png --json --csv | --json and --csv | choose one
predict seven.png --out /proc/x.jsonl | /proc/x.jsonl: | expected a file in a folder that can be written to
predict seven.png --out results.txt | results.txt: results can be resumed only as JSON lines | --csv > results.csv
predict seven.png --executor proceses | no executor is called 'proceses' | did you mean 'processes'?
predict seven.png --executor serial --address a:1 | --address a:1 without a Ray cluster | write --executor ray with it
predict seven.png --threads 0 | '--threads': 0 | expected 1 or more
predict seven.png --threads two | '--threads': 'two' is not a valid integer | see imparfait predict --help
predict | missing argument 'IMAGE...' | see imparfait predict --help
predict seven.png --modle digits | no such option '--modle' | did you mean --model?
predict seven.png --weights digits | no such option '--weights' | see imparfait predict --help
read nope.png | nope.png: there is no such file | expected images, or folders with images
read empty | empty: no images in there | .pdf
read seven.png --csv x.csv | --csv x.csv is for forms | write --fields fields.json too
read seven.png --out drawings | --out drawings is for the drawings of --show | write --show too
read seven.png --fields nope.json | nope.json: cannot be read | imparfait fields EXAMPLE --out nope.json
read seven.png --length five | length 'five' | write 5 or 5-7
read seven.png --check lun | no check is called 'lun' | did you mean 'luhn'?
read seven.png --pattern ( | the pattern '(' has an empty part | expected digits
read seven.png --one-of nope.txt | nope.txt: there is no such file | write a text file, or FILE.csv:COLUMN
read seven.png --table --show | --show does not go with --table | expected --json, --model and constraints
read seven.png --review /proc/x | /proc/x: cannot be made in /proc | write another folder
read seven.png --show --out /proc/x | /proc/x: cannot be made in /proc | write another folder
serve nope | nope: no such model | such as runs/
serve model.pt | model.pt: is no model of imparfait | imparfait evaluate model.pt
serve digits --port 99999 | --port was given as '99999' | expected a whole number from 0 to 65,535
serve digits --token-file nope | nope: cannot be read | expected a file with a token
serve digits --workers 0 | --workers was given as '0' | such as --workers 1
export | missing argument 'MODEL' | see imparfait export --help
export nope | nope: no such run | expected a run folder, or digits or digits-clean
export digits --to tflite | '--to': 'tflite' | expected onnx or keras
export digits --out /proc/x.onnx | /proc/x.onnx: cannot write in /proc | expected the path of a file to write
export digits --out nofolder/x.onnx | there is no folder nofolder | expected the path of a file to write
export digits --to keras | its network duo cannot be written as a .keras file | write --to onnx
export digits --public | --public without --push-to-hub | add --push-to-hub USER/NAME
export digits --push-to-hub name | 'name': no repository of the Hugging Face Hub | expected USER/NAME
evaluate | no model was given | name a MODEL, or the --url of one
evaluate nope | nope: no such model | such as runs/
evaluate digit | digit: no such model | did you mean 'digits'?
evaluate model.h5 | model.h5: is in Keras's old format | keras.saving.load_model('model.h5').save('model.keras')
evaluate runs | runs: no classifier there | name one, such as runs/
evaluate notes.txt | notes.txt: is no run folder and no known model file | expected a run folder, or a .onnx
evaluate nope.py:predict | nope.py:predict: there is no file nope.py | expected my_model.py:predict
evaluate digits digits | a MODEL is given twice | give each once
evaluate digits --suite full | the suite full is now digits | write digits, or photo
evaluate digits --suite digts | '--suite': 'digts' | did you mean 'digits'?
evaluate digits --split tset | '--split': 'tset' | did you mean 'test'?
evaluate digits --images 300 | no such option '--images' | did you mean --sample?
evaluate digits --test | no such option '--test' | did you mean --split test?
evaluate digits --sample 5 | '--sample': '5' | expected 20 or more, or all
evaluate digits --data nope | nope: no such file or folder | --data wants class folders of images
evaluate digits --out /proc/x | /proc/x: cannot be made in /proc | write another folder
evaluate digits --severities nope.json | 'nope.json' does not exist | see imparfait evaluate --help
evaluate digits --executor parallel | no executor is called 'parallel' | choose from serial, processes, ray
evaluate digits --layout chwn | no layout is called 'chwn' | did you mean 'nchw'?
evaluate --url ftp://host/x | --url ftp://host/x: no address | such as http://127.0.0.1:8000/v1/predict
evaluate --url http://a/v1/predict --url http://a/v1/predict | an --url is given twice | give each once
gate digits | no bound was given | write --against BASELINE
gate --min clean=0.5 | expected one model | MODEL, or the --url of one
gate digits --url http://a/v1/predict --min clean=0.5 | expected one model | MODEL, or the --url of one
gate digits --min fog | '--min': 'fog' | such as fog=0.7
gate digits --min clean=70 | '--min': 'clean=70' | an accuracy from 0 to 1
gate digits --against nope.json | nope.json: there is no such file | imparfait gate … --save nope.json
gate digits --save /proc/x.json | /proc/x.json: cannot write in /proc | expected the path of a file to write
gate digits --min clean=0.5 --out notes.txt | 'notes.txt' is a file | see imparfait gate --help
parity digits digits | missing argument 'IMAGE...' | see imparfait parity --help
parity digits nope seven.png | nope: no such model | such as runs/
parity digits digits nope.png | nope.png: there is no such file | expected images
drift | missing argument 'LOG...' | see imparfait drift --help
drift nope.log --since 7d | nope.log: cannot be read | expected a log that imparfait serve --log wrote
drift notes.txt --since 7d | notes.txt: no line is of a server's log | expected a log
drift access.log | nothing to compare with | write --reference RUN, or --since 7d
drift access.log --since yesterday | --since yesterday: no time | expected 7d, 12h, 2026-11-30
drift access.log --reference runs --out /proc/x | /proc/x: cannot be made in /proc | write another folder
drift access.log --data bars --since 7d | --data without --reference | write the model that predicts its images
calibrate-severity nope | nope: no such model | such as runs/
calibrate-severity digits --kept 2 | '--kept': 2.0 | expected above 0 and below 1
calibrate-severity digits --save /proc/x.json | /proc/x.json: cannot write in /proc | expected the path of a file
fields nope.png | nope.png: cannot be read | expected an image file
fields seven.png --out /proc/x.json | /proc/x.json: cannot write in /proc | expected the path of a file to write
fields notes.txt | notes.txt: is not an image: it looks like text | expected PNG
review nope.csv | nope.csv: there is no such file | write: imparfait read --fields … --csv nope.csv
review bars.csv | bars.csv: there are no readings beside it | write: imparfait read --fields … --csv NEW.csv
""")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return provoke(MISTAKES, tmp_path_factory.mktemp("mistakes"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.command)
def test_a_mistake_is_one_sentence_and_writes_nothing(mistake: Mistake, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[mistake.command]
    assert outcome.code == 2, outcome.err
    [line] = outcome.err.splitlines()
    assert line.startswith("imparfait: ")
    assert mistake.said in line
    assert mistake.following in line
    assert outcome.out == ""
    assert outcome.written == []
    assert not outcome.torch


def test_each_of_these_commands_has_mistakes(outcomes: dict[str, Outcome]) -> None:
    assert len(outcomes) == len(MISTAKES)
    commands = {mistake.command.split()[0] for mistake in MISTAKES}
    groups = ("Use a model", "Read forms", "Evaluate and compare")
    wanted = {name for group in groups for name in GROUPS[group][0]} - {"compare", "search", "corrupt"}  # those train
    assert commands == wanted
