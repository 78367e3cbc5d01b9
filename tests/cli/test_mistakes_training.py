"""Mistakes of users who train and choose, and of the program's own options, as in test_mistakes.py."""

import pytest
from helpers.mistakes import Mistake, Outcome, provoke, read_table

from imparfait.cli.main import COMMANDS, GROUPS

AT_ONCE = read_table(r"""
train --recipe quik | no recipe is called 'quik' | did you mean 'quick'?
train --recipe robust | the recipe robust is now default | write default
train --augmentation cor | no augmentation is called 'cor' | did you mean 'core'?
train --augmentation xyz | no augmentation is called 'xyz' | choose from core, balanced, study
train --model pettit | no model is called 'pettit' | did you mean 'petit'?
train --model nope.py:build | nope.py: there is no such file | write my_net.py:build
train --device gpu --data bars | no device is called 'gpu' | did you mean 'cpu'?
train --optimizer adam | --optimizer was given as 'adam' | expected adamw or keras
train --optimiser adamw | no such option '--optimiser' | did you mean --optimizer?
train --recipee quick | no such option '--recipee' | did you mean --recipe?
train --xyz 1 | no such option '--xyz' | see imparfait train --help
train --lr 0.1 | no such option '--lr' | did you mean --learning-rate?
train --resume | no such option '--resume' | the same command resumes by itself
train --gpu | no such option '--gpu' | did you mean --device cuda?
train --from digits | no such option '--from' | did you mean --init-from?
train --epochs ten | --epochs was given as 'ten' | expected a whole number of 1 or more
train --epochs 0 | --epochs was given as '0' | such as --epochs 12
train --epochs | option '--epochs' requires an argument | write --epochs VALUE
train --learning-rate -1 | --learning-rate was given as '-1' | expected a number above 0
train --batch-size 1.5 | --batch-size was given as '1.5' | expected a whole number of 1 or more
train --label-smoothing 1 | --label-smoothing was given as '1' | expected a number from 0 and below 1
train --data nope | nope: no such file or folder | --data wants class folders of images
train --data mnits | no data set is called 'mnits' | did you mean 'mnist'?
train --data fashion-mnist | fashion-mnist: does not come with imparfait | github.com/zalandoresearch/fashion-mnist
train --data bars+nope | no such file or folder as 'nope' | folders of images and tables with + between them
train --data bars --size 4 | '--size': 4 | expected from 8 to 1024
train --data bars --normalize strech | '--normalize': 'strech' | expected none, resize, letterbox or digit
train --data bars --out /proc/x | /proc/x: cannot be made in /proc | write another folder
train --data bars --out notes.txt | 'notes.txt' is a file | see imparfait train --help
train --data bars --out notes.txt/runs | notes.txt/runs: cannot be made | expected a folder to write to
train --settings bad.toml | bad.toml: not TOML | expected lines such as learning_rate = 0.01
train --settings nope.toml | nope.toml: cannot be read | expected a TOML file of settings
train --settings odd.toml | odd.toml: no setting is called 'epoch' | did you mean 'epochs'?
train --recipe quick --settings good.toml | --settings good.toml and --recipe quick | leave one out
train --init-from nope --data bars | nope: no such model | such as runs/
train --init-from model.pt --data bars | model.pt: no classifier there | expected a run folder
train --teacher nope --data bars | nope: no such model | such as runs/
train --fine-tune --data bars | --fine-tune without --backbone | add --backbone NAME
train --backbone efficientnet-lite0 --model petit | --model with --backbone efficientnet-lite0 | leave --model out
train --final --suite digits | --suite digits with --final | leave one out
train --suite full | the suite full is now digits | write digits, or photo
train --track tensorbord | '--track': 'tensorbord' | did you mean 'tensorboard'?
train bars | got unexpected extra argument (bars) | see imparfait train --help
check | missing argument 'DATA' | see imparfait check --help
check nope | nope: no such file or folder | --data wants class folders of images
check bars --size 4 | '--size': 4 | expected from 8 to 1024
check bars too many | got unexpected extra arguments (too many) | see imparfait check --help
learning-curve --recipe quik | no recipe is called 'quik' | did you mean 'quick'?
learning-curve --data nope | nope: no such file or folder | --data wants class folders of images
learning-curve --data bars --out /proc/x | /proc/x: cannot be made in /proc | write another folder
learning-curve --data bars --device gpu | no device is called 'gpu' | did you mean 'cpu'?
label nope | nope: there is no such file | expected images, or folders with images
label empty | empty: no images in there | expected files that end in
label pics --count 0 | '--count': 0 | expected from 1 to 5000
label pics --out /proc/x.csv --list | /proc/x.csv: cannot write in /proc | expected the path of a file to write
label pics --data nope --list | nope: no such file or folder | --data wants class folders of images
label pics --model nope --list | nope: no such model | such as runs/
compare | compare was given 0 candidates | write, for example: imparfait compare cnn petit
compare quick | compare was given 1 candidate; | write, for example: imparfait compare cnn petit
compare quick quik | no recipe or model is called 'quik' | did you mean 'quick'?
compare quick bad.toml | bad.toml: not TOML | expected lines such as learning_rate = 0.01
compare quick default --folds 1 | '--folds': '1' | expected 2 or more, or groups
compare quick default --folds all | '--folds': 'all' | expected 2 or more, or groups
compare quick default --minutes 0 | '--minutes': 0.0 | expected above 0
compare quick default --out /proc/x | /proc/x: cannot be made in /proc | write another folder
compare quick default --truth bars.csv | --truth bars.csv with quick, default | expected two tables of predictions
compare quick default --executor paralel | no executor is called 'paralel' | choose from serial, processes, ray
search | missing argument 'MODEL' | see imparfait search --help
search pettit | no recipe or model is called 'pettit' | did you mean 'petit'?
search petit --method grid | no method is called 'grid' | choose from random, bayes
search petit --space nope.toml | nope.toml: cannot be read | expected a TOML file of settings
search petit --space bad.toml | bad.toml: not TOML | expected lines such as
search petit --trials 0 | '--trials': 0 | expected 1 or more
search petit --out /proc/x | /proc/x: cannot be made in /proc | write another folder
corrupt rotat | no corruption is called 'rotat' | did you mean 'rotate'?
corrupt snow | no corruption of digits is called 'snow' | write photo.snow for photographs
corrupt --severity 2 | '--severity': 2.0 | expected from 0 to 1
corrupt --data nope | nope: no such file or folder | --data wants class folders of images
corrupt --out sheet.pdf | --out sheet.pdf: a contact sheet is a PNG | write a name that ends in .png
corrupt --out /proc/x.png | /proc/x.png: cannot write in /proc | expected the path of a file to write
corrupt --dataset folders --data bars | --dataset without --severity | write --severity, from 0 (unchanged) to 1
corrupt --dataset folders --severity 1 --out /proc/x | /proc/x: cannot be made in /proc | write another folder
corrupt --dataset zip | '--dataset': 'zip' | expected folders or idx
corrupt --manifest nope.json | 'nope.json' does not exist | see imparfait corrupt --help
corrupt --images 0 | '--images': 0 | expected from 1 to 64
study --stage nope | no stage is called 'nope' | choose from 'search cnn', 'search cnn_gru'
study --stage 'final cnn_gru, balanced' | no stage is called 'final cnn_gru, | did you mean 'final cnn, balanced'?
study --quick --larger | --quick and --larger name different scales | leave one out
study --out /proc/x | /proc/x: cannot be made in /proc | write another folder
study --threads 4 | --threads 4 | leave it out
study --executor paralel | no executor is called 'paralel' | choose from serial, processes, ray
list recipe | '[TOPIC]...': 'recipe' | did you mean 'recipes'?
list recipes --jsn | no such option '--jsn' | did you mean --json?
cite mnistc | mnistc: not a work that can be cited, nor a run folder | expected imparfait, mnist, mnist-c
trian | no such command 'trian' | did you mean train?
alter | no such command 'alter' | did you mean corrupt?
help trian | no such command 'trian' | did you mean train?
xyz | no such command 'xyz' | see imparfait --help
--versoin | no such option '--versoin' | did you mean --version?
-q -v version | -q and -v contradict each other | leave one out
""")
IN_THE_DATA = read_table(r"""
train --data pics | pics: 60 images, but neither class folders nor a table of labels | put them into pics/<class>/
train --data notes.txt | notes.txt: nothing to learn from in it | --data wants class folders of images
train --data emptyclass | emptyclass/none: a class without an image | remove it
train --data trainonly --final | trainonly has no test images | leave out --final
train --backbone resnet18 --data bars | no backbone is called 'resnet18' | choose from efficientnet-lite0, timm:NAME
check pics | pics: 60 images, but neither class folders nor a table of labels | put them into pics/<class>/
check bars --group nope | --group nope | expected a column of the table, parent, or a regular expression
compare a.csv | a.csv | write, for example: imparfait compare a.csv b.csv
search petit --space steps.toml --data bars | 'step': 0}: step: input should be greater than 0 | expected {low = 0.001
compare a.csv nope.csv | nope.csv: no such file | expected a table of predictions
gate digits --against bad.json | bad.json: not a baseline | expected a file that imparfait gate --save wrote
gate digits --min nope=0.5 --data bars --suite core | no condition is called 'nope' | choose from clean, mean, geometric
evaluate digits --severities bad.json | bad.json: is no file of severities | imparfait calibrate-severity wrote
""")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    return provoke([*AT_ONCE, *IN_THE_DATA], tmp_path_factory.mktemp("mistakes"))


@pytest.mark.parametrize("mistake", [*AT_ONCE, *IN_THE_DATA], ids=lambda mistake: mistake.command)
def test_a_mistake_is_one_sentence_and_writes_nothing(mistake: Mistake, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[mistake.command]
    assert outcome.code == 2, outcome.err
    *before, line = outcome.err.splitlines()
    assert line.startswith("imparfait: ")
    assert mistake.said in line
    assert mistake.following in line
    assert "Traceback" not in outcome.err or "-v" in mistake.command
    assert outcome.out == ""
    assert outcome.written == []
    if mistake in AT_ONCE:
        assert not before or "-v" in mistake.command
        assert not outcome.torch


def test_each_other_command_has_mistakes() -> None:
    commands = {mistake.command.split()[0] for mistake in AT_ONCE}
    groups = ("Train on your own images", "More")
    assert {"compare", "search", "corrupt", *(name for group in groups for name in GROUPS[group][0])} <= commands
    assert commands - set(COMMANDS) == {"trian", "alter", "help", "xyz", "--versoin", "-q"}
