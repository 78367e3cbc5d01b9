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
# # Un CNN suivi d'un GRU / A CNN followed by a GRU
#
# The study's second network processes the features of the CNN as a sequence. Is it better, and what does it cost? Read
# `cnn.ipynb` first. To run both from a clone:
#
# `pip install -c constraints.txt -e '.[train,keras]' jupyterlab`, then `jupyter lab notebooks/cnn_gru.ipynb`
#
# The outputs below were made with `IMPARFAIT_QUICK=1`: every cell in seconds, on a few hundred images, too few
# to learn anything. Without it the notebook trains on 10,000 images. MNIST has more: set TRAIN_IMAGES to 50,000 and
# VALIDATION_IMAGES to 10,000.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from scipy.stats import t as student

import imparfait

QUICK = bool(os.environ.get("IMPARFAIT_QUICK"))
TRAIN_IMAGES, VALIDATION_IMAGES = (200, 150) if QUICK else (10_000, 2_000)
FOLDS, FOLD_IMAGES = (2, 100) if QUICK else (5, 4_000)
EPOCHS = 1 if QUICK else 2
RECIPES = {"cnn": "study", "cnn_gru": "study-gru"}  # from the study's annexes
COLOURS = {"cnn": "tab:blue", "cnn_gru": "tab:orange"}

# %% [markdown]
# ## Les données / The data
#
# As in `cnn.ipynb`: MNIST's training images, split into training and validation images, and the core suite (*clean*,
# *geometric*, *shrunk*). The test set stays sealed.

# %%
train, validation = imparfait.load_data("mnist").train_val()
train = train.select(np.arange(TRAIN_IMAGES))
validation = validation.select(np.arange(VALIDATION_IMAGES))
suite = imparfait.core_suite(validation)

first_of_each_digit = [int(np.flatnonzero(validation.labels == digit)[0]) for digit in range(10)]
_, grid = plt.subplots(3, 10, figsize=(10, 3.2), layout="constrained")
for line, condition in zip(grid, suite, strict=True):
    line[0].text(-0.15, 0.5, condition.corruption, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
    for axes, image in zip(line, condition.data.pixels[first_of_each_digit], strict=True):
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
        axes.set_axis_off()
plt.show()

# %% [markdown]
# ## Deux réseaux / Two networks
#
# Both start with the same six convolutions, whose output is nine positions of 128 features. `cnn` has two dense layers
# after them. `cnn_gru` reads these positions as a sequence, forwards and backwards, with two GRUs. Their candidate
# activation is *relu*, as in the annex; `cnn_gru_tanh` is the same network with *tanh*.
#
# Both are trained on the same images with the study's augmentation, each with its own recipe.


# %%
def train_network(name, images, suite, **changes):
    """Train a network with its recipe and `changes` to it: the network, the training time in seconds, its scores."""
    settings = imparfait.RECIPES[RECIPES[name]].settings.model_copy(update={"epochs": EPOCHS, **changes})
    height, width = images.pixels.shape[2:]
    classes = len(images.classes)
    model = imparfait.build(name, channels=images.channels, classes=classes, height=height, width=width)
    *_, last_epoch = imparfait.train(model, images, settings)
    return model, last_epoch.seconds, imparfait.evaluate(imparfait.as_classifier(model), suite)


trained = {name: train_network(name, train, suite) for name in RECIPES}
rows = {}
for name, (model, seconds, scores) in trained.items():
    low, high = scores.mean_interval
    rows[name] = {score.corruption: f"{100 * score.accuracy:.2f} %" for score in scores.scores}
    rows[name]["core mean"] = f"{100 * scores.mean:.2f} % ({100 * low:.2f} – {100 * high:.2f})"
    rows[name]["training"] = f"{seconds:,.0f} s"
    rows[name]["parameters"] = f"{sum(values.numel() for values in model.state_dict().values() if values.ndim):,}"
display(pd.DataFrame(rows).T)

_, axes = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
for offset, (name, (_, _, scores)) in zip((0.12, -0.12), trained.items(), strict=True):
    for row, score in enumerate(scores.scores):
        low, high = score.interval
        axes.plot([100 * low, 100 * high], [offset - row] * 2, color=COLOURS[name], linewidth=2)
        axes.plot(100 * score.accuracy, offset - row, "o", color=COLOURS[name], label=None if row else name)
axes.set(xlabel="accuracy on validation images in %, with 95 % intervals")
axes.set_yticks([0, -1, -2], [condition.corruption for condition in suite])
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## Pli par pli / Fold by fold
#
# One training each is no comparison, and the learning rates of the annexes differ by a factor of ten (1e-4 for `cnn`,
# 1e-3 for `cnn_gru`). In this cross-validation both train with 1e-3, on the same images in the same order: only the
# network differs.

# %%
subset = train.select(np.arange(FOLD_IMAGES))
means = {name: [] for name in RECIPES}
for number in range(FOLDS):
    others, held_out = imparfait.fold(subset, FOLDS, number, partition=0)
    held_out_suite = imparfait.core_suite(held_out)
    for name in RECIPES:
        _, _, scores = train_network(name, others, held_out_suite, learning_rate=1e-3)
        means[name].append(scores.mean)

_, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
for pair in zip(*means.values(), strict=True):
    axes.plot([0, 1], [100 * mean for mean in pair], "o-", color="gray")
axes.set(title="core mean in %, one line per fold", xticks=[0, 1], xticklabels=list(means), xlim=(-0.3, 1.3))
axes.spines[["top", "right"]].set_visible(False)
plt.show()

# %% [markdown]
# ## Ce que nous avons appris / What we learned
#
# The folds share most of their training images, so their differences vary less than independent ones would. The
# interval corrects for this with the variance (1/folds + held out/trained on)·s² of Nadeau and Bengio.

# %%
differences = 100 * (np.array(means["cnn_gru"]) - np.array(means["cnn"]))
better, other = ("cnn_gru", "cnn") if differences.mean() > 0 else ("cnn", "cnn_gru")
margin = student.ppf(0.975, FOLDS - 1) * differences.std(ddof=1) * np.sqrt(1 / FOLDS + 1 / (FOLDS - 1))
difference = abs(differences.mean())
interval = f"{difference:.2f} points (95 %: {difference - margin:.2f} to {difference + margin:.2f})".replace("-", "−")
if difference > margin:
    verdict = f"{better} is better than {other} by {interval}"
else:
    verdict = f"No significant difference: {better} leads by {interval}"
time_ratio = trained["cnn_gru"][1] / trained["cnn"][1]
display(
    Markdown(f"""
- **{verdict}.**
- Training cnn_gru takes **{time_ratio:.1f} times** as long on the same images.
- Conditions: one partition of {FOLD_IMAGES:,} images into {FOLDS} folds, {EPOCHS} epoch{"s" * (EPOCHS > 1)}, one seed,
  one learning rate. `imparfait study` compares them on all images, with more partitions and epochs.
{"- *So few images teach them nothing: these numbers mean nothing.*" if QUICK else ""}
""")
)
