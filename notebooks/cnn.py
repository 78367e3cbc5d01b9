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
# More than 99 % on MNIST is easy. Rotate, move or shrink the digits a little, and the same network fails. This notebook
# shows the failure, and an augmentation that prevents it. To run it from a clone:
#
# `pip install -c constraints.txt -e '.[train,keras]' jupyterlab`, then `jupyter lab notebooks/cnn.ipynb`
#
# The outputs below were made with `IMPARFAIT_QUICK=1`: every cell in seconds, on a few hundred images, too few
# to learn anything. Without it the notebook trains on 10,000 images. MNIST has more: set TRAIN_IMAGES to 50,000 and
# VALIDATION_IMAGES to 10,000.

# %%
import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras computes with PyTorch, which is installed

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from sklearn.metrics import classification_report

import imparfait

QUICK = bool(os.environ.get("IMPARFAIT_QUICK"))
TRAIN_IMAGES, VALIDATION_IMAGES = (300, 150) if QUICK else (10_000, 2_000)
EPOCHS = {"clean": 1, "study": 1} if QUICK else {"clean": 5, "study": 3}  # nearly as many images in total


def show_images(rows, captions=None):
    """Images row by row: `rows` are {name: pixels}, `captions` {name: one text per image}."""
    columns = max(map(len, rows.values()))
    size = (1.05 * columns, (1.45 if captions else 1.1) * len(rows))
    _, grid = plt.subplots(len(rows), columns, figsize=size, squeeze=False, layout="constrained")
    for axes in grid.flat:
        axes.set_axis_off()
    for line, (name, pixels) in zip(grid, rows.items(), strict=True):
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center", fontsize=11)
        for column, image in enumerate(pixels):
            line[column].imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
            line[column].set_title(captions[name][column] if captions else "", fontsize=9)
    plt.show()


# %% [markdown]
# ## Les données / The data
#
# MNIST's training images are split into training and validation images. The test set stays sealed.
#
# The core suite has each validation image three times. *Clean*: unchanged. *Geometric*: rotated by up to 15°, moved and
# stretched by up to 10 %. *Shrunk*: placed at random on a canvas of twice the size, then reduced, so small and thin.

# %%
train, validation = imparfait.load_data("mnist").train_val()
train = train.select(np.arange(TRAIN_IMAGES))
validation = validation.select(np.arange(VALIDATION_IMAGES))
display(train, validation)

suite = imparfait.core_suite(validation)
first_of_each_digit = [int(np.flatnonzero(validation.labels == digit)[0]) for digit in range(10)]
show_images({condition.corruption: condition.data.pixels[first_of_each_digit] for condition in suite})

# %% [markdown]
# ## Des chiffres propres seulement / Clean digits only
#
# The study's CNN, trained on clean digits. Each accuracy has its 95 % interval (low, high). The images are confident
# mistakes on corrupted digits: the true digit, the predicted one and its probability.


# %%
def train_cnn(augmentation):
    """Train the study's CNN with an augmentation: the network, its settings, its epochs, and its scores after each."""
    changes = {"augmentation": augmentation, "epochs": EPOCHS[augmentation]}
    settings = imparfait.RECIPES["study"].settings.model_copy(update=changes)
    height, width = train.pixels.shape[2:]
    model = imparfait.build("cnn", channels=train.channels, classes=len(train.classes), height=height, width=width)
    epochs, scores = [], []
    for epoch in imparfait.train(model, train, settings):
        epochs.append(epoch)
        scores.append(imparfait.evaluate(imparfait.as_classifier(model), suite))
    return model, settings, epochs, scores


_, _, clean_epochs, clean_scores = train_cnn("clean")
display(clean_scores[-1])

mistakes, captions = {}, {}
for condition, result in zip(suite[1:], clean_scores[-1].conditions[1:], strict=True):
    confidence = result.probabilities.max(1)
    wrong = np.flatnonzero(~result.correct)
    worst = wrong[np.argsort(-confidence[wrong])][:9]
    mistakes[condition.corruption] = condition.data.pixels[worst]
    captions[condition.corruption] = [
        f"{result.truths[i]} → {result.predicted[i]}, {100 * confidence[i]:.0f} %" for i in worst
    ]
show_images(mistakes, captions)

# %% [markdown]
# ## L'augmentation de l'étude / The study's augmentation
#
# The same network, trained with the study's augmentation: all digits clean, a third of them geometric as well, and five
# twelfths shrunk. Dashed lines: the network that was trained on clean digits only.

# %%
model, settings, epochs, scores = train_cnn("study")
display(scores[-1])

_, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
trainings = {"clean digits only": (clean_epochs, clean_scores, "--"), "the study's augmentation": (epochs, scores, "-")}
for name, (its_epochs, its_scores, style) in trainings.items():
    images = np.cumsum([epoch.images for epoch in its_epochs]) / 1000
    left.plot(images, [epoch.loss for epoch in its_epochs], "o" + style, color="black", label=name)
    for index, (condition, colour) in enumerate(zip(suite, ("tab:blue", "tab:orange", "tab:green"), strict=True)):
        accuracy = [100 * after_epoch.scores[index].accuracy for after_epoch in its_scores]
        label = condition.corruption if style == "-" else None
        right.plot(images, accuracy, "o" + style, color=colour, label=label)
left.set(title="training loss", xlabel="training images, in thousands", ylim=(0, None))
right.set(title="accuracy on validation images, %", xlabel="training images, in thousands", ylim=(None, 101))
for axes in (left, right):
    axes.set_xlim(0, None)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
plt.show()

# %% [markdown]
# ## Les confusions / The confusions
#
# Confusion matrices of the network with augmentation: rows are true digits, columns predictions, mistakes are coloured.
# The table is for corrupted digits: of the predictions "3", how many are correct (precision); of the 3s, how many are
# predicted as 3 (recall).

# %%
clean, geometric, shrunk = scores[-1].conditions
truths = np.concatenate([geometric.truths, shrunk.truths])
predicted = np.concatenate([geometric.predicted, shrunk.predicted])

_, both = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
matrices = {"clean": clean.confusion(), "corrupted": geometric.confusion() + shrunk.confusion()}
for axes, (name, counts) in zip(both, matrices.items(), strict=True):
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    axes.imshow(wrong, cmap="Oranges", vmax=max(1, 1.5 * wrong.max()))
    for row, column in np.argwhere(counts):
        axes.text(column, row, counts[row, column], ha="center", va="center", fontsize=8)
    axes.set(title=f"{name} digits", xlabel="predicted", ylabel="true digit", xticks=range(10), yticks=range(10))
plt.show()

report = classification_report(
    truths, predicted, labels=range(10), target_names=train.classes, output_dict=True, zero_division=0
)
table = pd.DataFrame({digit: report[digit] for digit in train.classes}).T
table.astype({"support": int}).rename(columns={"support": "images"}).round(3)

# %% [markdown]
# ## Le modèle sauvegardé / The saved model
#
# As the study saved it, `mon_model.keras`: plain Keras loads it without this package and predicts the same.

# %%
run = imparfait.save_run(Path("model") / "cnn", model, train, settings, epochs)
exported = imparfait.export(run, to="keras", out=Path("model") / "mon_model.keras")

loaded = keras.saving.load_model(exported.path)
pixels = validation.pixels[:300].transpose(0, 2, 3, 1).astype(np.float32) / 255
difference = np.abs(loaded.predict(pixels, verbose=0) - clean.probabilities[:300]).max()
print(f"{exported.path}: {exported.size / 1e6:.1f} MB; probabilities differ by at most {difference:.0e}")

# %% [markdown]
# ## Ce que nous avons appris / What we learned
#
# One training each, evaluated on validation images with the corruptions of the augmentation. `imparfait study` runs the
# whole study: cross-validation, more epochs, and one evaluation on the test images.

# %%
before, after = ([100 * score.accuracy for score in trained[-1].scores] for trained in (clean_scores, scores))
display(
    Markdown(f"""
| trained on {len(train):,} images | accuracy on clean digits | on corrupted digits |
| --- | --- | --- |
| clean digits only | {before[0]:.1f} % | {np.mean(before[1:]):.1f} % |
| the study's augmentation | {after[0]:.1f} % | {np.mean(after[1:]):.1f} % |

{"*Too few images: these numbers mean nothing.*" if QUICK else "The network is the same; its data decides."}
""")
)
