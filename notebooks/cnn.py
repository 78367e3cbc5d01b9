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
# # Un CNN et des chiffres imparfaits / A CNN and imperfect digits
#
# Above 99 % on MNIST is easy. Turn, move or shrink the digits a little and the same network fails. This notebook shows
# that failure, and what mends it. To run it, from a clone:
#
# `pip install -c constraints.txt -e '.[train,keras]' jupyterlab`, then `jupyter lab notebooks/cnn.ipynb`
#
# On two cores it takes five to fifteen minutes. With `IMPARFAIT_QUICK=1` it goes the same way in seconds, on 1,000
# images: too few for the network to learn anything, so its numbers then say nothing.

# %%
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras calculates with PyTorch, which is here

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from sklearn.metrics import classification_report

import imparfait

QUICK = bool(os.environ.get("IMPARFAIT_QUICK"))
EPOCHS = {"clean": 1, "study": 1} if QUICK else {"clean": 5, "study": 3}  # about as many images shown, either way


def show_pictures(rows, captions=None):
    """Images row by row: `rows` are {name: pixels}, `captions` {name: a text for each image}."""
    columns = max(map(len, rows.values()))
    size = (1.05 * columns, (1.45 if captions else 1.1) * len(rows))
    _, grid = plt.subplots(len(rows), columns, figsize=size, squeeze=False, layout="constrained")
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (name, pixels) in zip(grid, rows.items(), strict=True):
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
        for place, image in enumerate(pixels):
            line[place].imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
            line[place].set_title(captions[name][place] if captions else "", fontsize=9)
    plt.show()


# %% [markdown]
# ## Les données / The data
#
# MNIST's training images: five sixths to fit on; a sixth, never fitted on, to judge by. The test stays sealed.
#
# Each image to judge by is there three times: *clean*; *geometric*, turned by up to 15°, moved and stretched by up to
# 10 %; *shrunk*, placed somewhere on a sheet twice the size which is then reduced, so that it is small and thin.

# %%
fit, validation = imparfait.split(imparfait.load_data("mnist").train)
if QUICK:
    fit, validation = fit.select(np.arange(1000)), validation.select(np.arange(300))
display(fit, validation)

three = imparfait.core_suite(validation)
one_of_each = [int(np.flatnonzero(validation.labels == digit)[0]) for digit in range(10)]
show_pictures({part.corruption: part.data.pixels[one_of_each] for part in three})

# %% [markdown]
# ## Des chiffres propres seulement / Clean digits only
#
# The study's CNN, trained on clean digits. Each score has its 95 % interval. Below: corrupted digits that it reads
# wrongly and is sure of, each with its true digit, its answer and how sure it is.


# %%
def learn(augmentation):
    """Train the study's CNN on an augmentation: the network, its settings, its epochs, and its scores after each of them."""
    settings = imparfait.RECIPES["study"].settings.model_copy(
        update={"augmentation": augmentation, "epochs": EPOCHS[augmentation]}
    )
    height, width = fit.pixels.shape[2:]
    model = imparfait.build("cnn", channels=fit.channels, classes=len(fit.classes), height=height, width=width)
    epochs, scores = [], []
    for epoch in imparfait.train(model, fit, settings):
        epochs.append(epoch)
        scores.append(imparfait.evaluate(imparfait.as_classifier(model), three))
    return model, settings, epochs, scores


_, _, clean_epochs, clean_scores = learn("clean")
display(clean_scores[-1])

mistakes, captions = {}, {}
for part, answers in zip(three[1:], clean_scores[-1].parts[1:], strict=True):
    sure = answers.probabilities.max(1)
    wrong = np.flatnonzero(answers.said != answers.truths)
    worst = wrong[np.argsort(-sure[wrong])][:9]
    mistakes[part.corruption] = part.data.pixels[worst]
    captions[part.corruption] = [f"{answers.truths[i]} → {answers.said[i]}, {100 * sure[i]:.0f} %" for i in worst]
show_pictures(mistakes, captions)

# %% [markdown]
# ## Le mélange de l'étude / The study's augmentation
#
# The same network again, shown all digits clean, a third of them geometric as well and five twelfths shrunk, as the
# study had it. Dashed lines: the network that was shown clean digits only.

# %%
model, settings, epochs, scores = learn("study")
display(scores[-1])

_, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
shown = {"clean digits only": (clean_epochs, clean_scores, "--"), "the study's augmentation": (epochs, scores, "-")}
for name, (its_epochs, its_scores, line) in shown.items():
    images = np.cumsum([epoch.images for epoch in its_epochs]) / 1000
    left.plot(images, [epoch.loss for epoch in its_epochs], "o" + line, color="black", label=name)
    for place, (part, colour) in enumerate(zip(three, ("tab:blue", "tab:orange", "tab:green"), strict=True)):
        accuracy = [100 * each.each[place].accuracy for each in its_scores]
        right.plot(images, accuracy, "o" + line, color=colour, label=part.corruption if line == "-" else None)
left.set(title="loss in training", xlabel="images shown, in thousands", ylim=(0, None))
right.set(title="accuracy on validation images, %", xlabel="images shown, in thousands", ylim=(None, 101))
for axes in (left, right):
    axes.set_xlim(0, None)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Ce qu'il confond / What it confuses
#
# The network of the augmentation. A row is a true digit, a column an answer; right answers are on the diagonal, mistakes are
# coloured. Then, for each digit, corrupted: how many of the answers "3" are a 3 (precision), and how many of the 3s are
# read as a 3 (recall).

# %%
clean, geometric, shrunk = scores[-1].parts
truths = np.concatenate([geometric.truths, shrunk.truths])
said = np.concatenate([geometric.said, shrunk.said])

_, both = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
for axes, counts, name in zip(
    both, (clean.confusion(), geometric.confusion() + shrunk.confusion()), ("clean", "altered"), strict=True
):
    mistaken = counts * (1 - np.eye(len(counts), dtype=int))
    axes.imshow(mistaken, cmap="Oranges", vmax=max(1, 1.5 * mistaken.max()))
    for truth, answer in np.argwhere(counts):
        axes.text(answer, truth, counts[truth, answer], ha="center", va="center", fontsize=8)
    axes.set(title=f"{name} digits", xlabel="answer", ylabel="true digit", xticks=range(10), yticks=range(10))
plt.show()

report = classification_report(
    truths, said, labels=range(10), target_names=fit.classes, output_dict=True, zero_division=0
)
table = pd.DataFrame({digit: report[digit] for digit in fit.classes}).T
table.astype({"support": int}).rename(columns={"support": "images"}).round(3)

# %% [markdown]
# ## Le modèle sauvegardé / The saved model
#
# As the study saved it, `mon_model.keras`: plain Keras opens it, without this package, and gives the same answers.

# %%
run = imparfait.save(Path("model") / "cnn", model, fit, settings, epochs)
exported = imparfait.export(run, to="keras", out=Path("model") / "mon_model.keras")

loaded = keras.saving.load_model(exported.path)
pixels = validation.pixels[:300].transpose(0, 2, 3, 1).astype(np.float32) / 255
apart = np.abs(loaded.predict(pixels, verbose=0) - clean.probabilities[:300]).max()
print(f"{exported.path}: {exported.size / 1e6:.1f} MB; on 300 images no probability differs by more than {apart:.0e}")

# %% [markdown]
# ## Ce que nous avons appris / What we learned
#
# One training each, on validation images; corruptions that were in the augmentation. `imparfait study` does the whole
# study: cross-validation, more epochs, the test images opened once.

# %%
before, after = ([score.accuracy for score in each[-1].each] for each in (clean_scores, scores))
altered_before, altered_after = (100 * np.mean(accuracies[1:]) for accuracies in (before, after))
display(
    Markdown(f"""
- Shown clean digits only, the CNN reads **{100 * before[0]:.1f} %** of clean digits and **{altered_before:.1f} %** of
  corrupted ones.
- Shown the augmentation, the same CNN reads **{100 * after[0]:.1f} %** and **{altered_after:.1f} %**.
- {"*On 1,000 images these numbers say nothing.*" if QUICK else "The network is the same: what it is shown decides."}
""")
)
