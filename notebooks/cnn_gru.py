# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Un CNN suivi d'un GRU / A CNN with a GRU behind it
#
# The study's second network reads what the CNN finds as a sequence. Is it better, and what does it cost? `cnn.ipynb`
# tells the story before this one. To run both, from a clone:
#
# `pip install -c constraints.txt -e '.[train,keras]' jupyterlab`, then `jupyter lab notebooks/cnn_gru.ipynb`
#
# On two cores it takes five to fifteen minutes. With `IMPARFAIT_QUICK=1` it goes the same way in seconds, on 800
# images: too few for the networks to learn anything, so its numbers then say nothing.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy.stats import t as student

import imparfait

QUICK = bool(os.environ.get("IMPARFAIT_QUICK"))
EPOCHS = 1 if QUICK else 2
FOLDS, FOLD_PICTURES = (2, 200) if QUICK else (5, 8000)
RECIPES = {"cnn": "study", "cnn_gru": "study-gru"}  # each network's own, from the study's annexes
COLOURS = {"cnn": "tab:blue", "cnn_gru": "tab:orange"}

# %% [markdown]
# ## Les données / The data
#
# As in `cnn.ipynb`: MNIST's training images, a sixth of them to judge by, *clean*, *geometric* (turned, moved,
# stretched) and *shrunk*. The test stays sealed.

# %%
fit, validation = imparfait.split(imparfait.load_data("mnist").train)
if QUICK:
    fit, validation = fit.select(np.arange(800)), validation.select(np.arange(300))
three = imparfait.core_suite(validation)

one_of_each = [int(np.flatnonzero(validation.labels == digit)[0]) for digit in range(10)]
_, grid = plt.subplots(3, 10, figsize=(10, 3.2), layout="constrained")
for line, part in zip(grid, three, strict=True):
    line[0].text(-0.15, 0.5, part.corruption, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
    for axes, image in zip(line, part.data.pixels[one_of_each], strict=True):
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
        axes.set_axis_off()
plt.show()

# %% [markdown]
# ## Deux réseaux / Two networks
#
# Both begin with the same six convolutions, which leave nine places with 128 numbers each. `cnn` puts two dense layers
# behind them. `cnn_gru` reads the nine places one after the other, forwards and backwards, with two GRUs. In these the
# annex has *relu* where a GRU has *tanh*; `cnn_gru_tanh` is the same network with tanh.
#
# Both are shown the same images, the study's augmentation, each by its own recipe.


# %%
def learn(name, images, parts, **changes):
    """Train a network by its recipe, some of it changed: the network, the seconds it took, its scores."""
    settings = imparfait.RECIPES[RECIPES[name]].settings.model_copy(update={"epochs": EPOCHS, **changes})
    height, width = images.pixels.shape[2:]
    classes = len(images.classes)
    model = imparfait.build(name, channels=images.channels, classes=classes, height=height, width=width)
    *_, last = imparfait.train(model, images, settings)
    return model, last.seconds, imparfait.evaluate(imparfait.as_classifier(model), parts)


learned = {name: learn(name, fit, three) for name in RECIPES}
rows = {}
for name, (model, seconds, scores) in learned.items():
    low, high = scores.mean_interval
    rows[name] = {score.corruption: f"{100 * score.accuracy:.2f} %" for score in scores.each}
    rows[name]["core mean"] = f"{100 * scores.mean:.2f} % ({100 * low:.2f} – {100 * high:.2f})"
    rows[name]["training"] = f"{seconds:,.0f} s"
    rows[name]["numbers"] = f"{sum(numbers.numel() for numbers in model.state_dict().values() if numbers.ndim):,}"
display(pd.DataFrame(rows).T)

_, axes = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
for shift, (name, (_, _, scores)) in zip((0.12, -0.12), learned.items(), strict=True):
    for place, score in enumerate(scores.each):
        low, high = score.interval
        axes.plot([100 * low, 100 * high], [shift - place] * 2, color=COLOURS[name], linewidth=2)
        axes.plot(100 * score.accuracy, shift - place, "o", color=COLOURS[name], label=None if place else name)
axes.set(xlabel="accuracy on validation images in %, with its 95 % interval")
axes.set_yticks([0, -1, -2], [part.corruption for part in three])
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## Pli par pli / Fold by fold
#
# One training each is no comparison, and the annexes' step sizes differ by a factor of ten (1e-4 for `cnn`, 1e-3 for
# `cnn_gru`). So both learn again with steps of 1e-3, on all folds but one, and are judged on that one, fold by fold:
# the same images in the same order, and only the network differs.

# %%
some = fit.select(np.arange(FOLD_PICTURES))
means = {name: [] for name in RECIPES}
for number in range(FOLDS):
    others, held_out = imparfait.fold(some, FOLDS, number, partition=0)
    parts = imparfait.core_suite(held_out)
    for name in RECIPES:
        _, _, scores = learn(name, others, parts, learning_rate=1e-3)
        means[name].append(scores.mean)

_, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
for pair in zip(*means.values(), strict=True):
    axes.plot([0, 1], [100 * mean for mean in pair], "o-", color="gray")
axes.set(title="core mean, %; a line a fold", xticks=[0, 1], xticklabels=list(means), xlim=(-0.3, 1.3))
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Ce que nous avons appris / What we learned
#
# The folds share most of the images they are trained on, so their differences vary less than independent ones would.
# The interval allows for that: variance (1/folds + held out/fitted)·s², as Nadeau and Bengio have it.

# %%
gaps = 100 * (np.array(means["cnn_gru"]) - np.array(means["cnn"]))
better, other = ("cnn_gru", "cnn") if gaps.mean() > 0 else ("cnn", "cnn_gru")
reach = student.ppf(0.975, FOLDS - 1) * gaps.std(ddof=1) * np.sqrt(1 / FOLDS + 1 / (FOLDS - 1))
ahead = abs(gaps.mean())
interval = f"{ahead:.2f} points (95 %: {ahead - reach:.2f} to {ahead + reach:.2f})".replace("-", "−")
if ahead > reach:
    verdict = f"{better} is better than {other} by {interval}"
else:
    verdict = f"No difference shown: {better} is ahead by {interval}; anything over {reach:.2f} would have shown"
slower = learned["cnn_gru"][1] / learned["cnn"][1]
display(
    Markdown(f"""
- **{verdict}.**
- cnn_gru takes **{slower:.1f} times** as long to learn from the same images.
- That is one division of {FOLD_PICTURES:,} images into {FOLDS} folds, {EPOCHS} epoch{"s" * (EPOCHS > 1)}, one seed,
  one step size: little to go by. `imparfait study` gives the whole verdict: all images, more divisions and epochs.
{"- *On 800 images these numbers say nothing.*" if QUICK else ""}
""")
)
