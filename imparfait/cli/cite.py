"""`imparfait cite`: BibTeX entries of this package, and of the data and methods that its numbers stand on."""

import click

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
@click.argument("works", nargs=-1, type=click.Choice(["imparfait", *WORKS]), metavar="[WORK]...")
def cite(works: tuple[str, ...]) -> None:
    """Print BibTeX entries.

    WORK is imparfait, mnist, mnist-c (corruptions of digits), imagenet-c (corruptions of photographs) or calibration
    (temperature scaling and ECE); all by default.

    \b
    imparfait cite > references.bib
    imparfait cite imparfait imagenet-c
    """
    from importlib.metadata import version

    entries = {"imparfait": SOFTWARE.format(version=version("imparfait"))} | WORKS
    click.echo("\n\n".join(entries[work] for work in works or entries))
