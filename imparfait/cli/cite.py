"""`imparfait cite`: BibTeX entries of this package, its data and methods, and the methods paragraph of a run."""

from pathlib import Path

import click

from imparfait.cli import parameters
from imparfait.core.errors import UserError
from imparfait.core.storage import printable

SOFTWARE = """@software{{imparfait,
  title   = {{imparfait: image classifiers that stay accurate on imperfect images}},
  author  = {{{{The imparfait authors}}}},
  version = {{{version}}},
  year    = {{2026}}
}}"""
WORKS = {
    "mnist": r"""@article{lecun1998gradient,
  title   = {Gradient-based learning applied to document recognition},
  author  = {LeCun, Yann and Bottou, L{\'e}on and Bengio, Yoshua and Haffner, Patrick},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  number  = {11},
  pages   = {2278--2324},
  year    = {1998},
  doi     = {10.1109/5.726791}
}""",
    "mnist-c": """@misc{mu2019mnistc,
  title         = {{MNIST-C}: A Robustness Benchmark for Computer Vision},
  author        = {Mu, Norman and Gilmer, Justin},
  year          = {2019},
  eprint        = {1906.02337},
  archiveprefix = {arXiv}
}""",
    "imagenet-c": """@inproceedings{hendrycks2019benchmarking,
  title     = {Benchmarking Neural Network Robustness to Common Corruptions and Perturbations},
  author    = {Hendrycks, Dan and Dietterich, Thomas},
  booktitle = {International Conference on Learning Representations},
  year      = {2019}
}""",
    "calibration": """@inproceedings{guo2017calibration,
  title     = {On Calibration of Modern Neural Networks},
  author    = {Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
  booktitle = {International Conference on Machine Learning},
  pages     = {1321--1330},
  year      = {2017}
}""",
}


@click.command()
@click.argument("works", nargs=-1, metavar="[WORK|RUN]...", shell_complete=parameters.values_of(["imparfait", *WORKS]))
def cite(works: tuple[str, ...]) -> None:
    """Print BibTeX entries, and the methods paragraph of a run.

    WORK is imparfait, mnist, mnist-c (corruptions of digits), imagenet-c (corruptions of photographs) or calibration
    (temperature scaling and ECE); all by default. RUN is a run folder: a paragraph on how it was trained and evaluated.
    """
    from importlib.metadata import version

    entries = {"imparfait": SOFTWARE.format(version=version("imparfait"))} | WORKS
    click.echo("\n\n".join(entries[work] if work in entries else _methods(work) for work in works or entries))


def _methods(run: str) -> str:
    if not Path(run).is_dir():
        raise UserError(
            f"{printable(run)}: not a work that can be cited, nor a run folder",
            expected=f"{', '.join(['imparfait', *WORKS])}, or a folder in runs/",
        )
    from imparfait.reports.methods_text import methods_paragraph

    return methods_paragraph(Path(run))
