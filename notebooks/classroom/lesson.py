# %% [markdown] lang="en"
# # Small digits, big mistakes
#
# A network learns handwritten digits. Then you damage the digits. Run each cell with Shift+Enter, from top to bottom.
# Six blanks are yours: replace `...` behind the equals sign. The cell tells you when a blank is right.

# %% [markdown] lang="fr"
# # Petits chiffres, grosses erreurs
#
# Un réseau apprend des chiffres manuscrits. Ensuite, vous abîmez les chiffres. Exécutez chaque cellule avec Maj+Entrée,
# de haut en bas. Six trous sont à remplir : remplacez `...` après le signe égal. La cellule vous dit si c'est juste.

# %%
import os

import matplotlib.pyplot as plt
import numpy as np
from torch import nn

import imparfait

QUICK = bool(os.environ.get("IMPARFAIT_QUICK"))
TRAIN_IMAGES, VALIDATION_IMAGES, EPOCHS = (600, 200, 2) if QUICK else (10_000, 1_000, 4)


def check(blank, answer, expected):
    """Say whether a blank is filled in correctly."""
    if answer is ...:
        raise ValueError(f"blank {blank} is still empty / le trou {blank} est encore vide")
    if not np.array_equal(answer, expected):
        raise ValueError(f"blank {blank} is not right yet / le trou {blank} n'est pas encore juste")
    print(f"blank {blank}: correct / trou {blank} : juste")


def show(pixels, captions):
    """Images in a row, with a caption above each."""
    _, grid = plt.subplots(1, len(pixels), figsize=(1.1 * len(pixels), 1.5), layout="constrained")
    for axes, image, caption in zip(grid, pixels, captions, strict=True):
        axes.imshow(image[0], cmap="gray_r", vmin=0, vmax=255)
        axes.set_title(caption, fontsize=9)
        axes.set_axis_off()
    plt.show()


# %% [markdown] lang="en"
# ## 1. An image is numbers
#
# `train.pixels.shape` has four numbers: images, channels (1 for grey), height and width.
#
# **Blank 1.** How many numbers is one image? Multiply channels, height and width.

# %% [markdown] lang="fr"
# ## 1. Une image, ce sont des nombres
#
# `train.pixels.shape` contient quatre nombres : images, canaux (1 pour le gris), hauteur et largeur.
#
# **Trou 1.** Combien de nombres y a-t-il dans une image ? Multipliez canaux, hauteur et largeur.

# %%
train, validation = imparfait.load_data("mnist").train_val()
train = train.select(np.arange(TRAIN_IMAGES))
validation = validation.select(np.arange(VALIDATION_IMAGES))
images, channels, height, width = train.pixels.shape

numbers_per_image = channels * height * width  # blank 1

check(1, numbers_per_image, train.pixels[0].size)
show(validation.pixels[:8], validation.labels[:8])

# %% [markdown] lang="en"
# ## 2. Train on clean digits
#
# The network has three convolutions, which find strokes, and a last layer with one output per digit.
#
# **Blank 2.** The accuracy is the share of images whose prediction equals the label. `predicted` and
# `validation.labels` are arrays: `==` compares them, and `np.mean` takes the mean.

# %% [markdown] lang="fr"
# ## 2. Entraîner sur des chiffres intacts
#
# Le réseau a trois convolutions, qui repèrent les traits, et une dernière couche avec une sortie par chiffre.
#
# **Trou 2.** L'exactitude est la part des images dont la prédiction est égale à l'étiquette. `predicted` et
# `validation.labels` sont des tableaux : `==` les compare, et `np.mean` calcule la moyenne.


# %%
def train_network(augmentation):
    """A small CNN trained with an augmentation, as a function from images to predicted digits."""
    layers = []
    for before, after in ((1, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 9, 10))
    settings = imparfait.TrainingSettings(augmentation=augmentation, epochs=EPOCHS, batch_size=64, learning_rate=4e-3)
    for epoch in imparfait.train(network, train, settings):
        print(f"epoch {epoch.number} of {EPOCHS}: loss {epoch.loss:.2f}")
    classifier = imparfait.as_classifier(network)
    return lambda data: classifier(data.pixels.astype(np.float32) / 255).argmax(1)


clean_network = train_network("clean")
predicted = clean_network(validation)

accuracy = np.mean(predicted == validation.labels)  # blank 2

check(2, accuracy, (predicted == validation.labels).sum() / len(validation))
print(f"clean digits: {100 * accuracy:.1f} %")

# %% [markdown] lang="en"
# ## 3. Damage the digits yourself
#
# **Blank 3.** Move each image 5 pixels to the right: `np.roll(array, shift, axis=3)`. Axis 3 is the width.
#
# *Before you run the cell: what do you expect the accuracy to be?*

# %% [markdown] lang="fr"
# ## 3. Abîmez les chiffres vous-mêmes
#
# **Trou 3.** Décalez chaque image de 5 pixels vers la droite : `np.roll(tableau, décalage, axis=3)`. L'axe 3 est la
# largeur.
#
# *Avant d'exécuter la cellule : à quelle exactitude vous attendez-vous ?*

# %%
moved_pixels = np.roll(validation.pixels, 5, axis=3)  # blank 3

columns = np.arange(width) - 5
check(3, moved_pixels, validation.pixels[..., columns])
moved = imparfait.LabelledImages(
    moved_pixels, validation.labels, validation.sources, validation.classes, "moved", "validation"
)
predicted = clean_network(moved)
show(moved.pixels[:8], [f"{label} → {digit}" for label, digit in zip(moved.labels[:8], predicted[:8], strict=True)])
print(f"moved digits: {100 * np.mean(predicted == moved.labels):.1f} %")

# %% [markdown] lang="en"
# ## 4. Shrunk digits
#
# *Shrunk*: the digit is placed at random on a canvas of twice the size, and the canvas is reduced. It gets small and
# thin.
#
# **Blank 4.** Corrupt the validation images: `imparfait.corrupt(data, name, severity)` with `"shrunk"` and `1.0`.

# %% [markdown] lang="fr"
# ## 4. Des chiffres rétrécis
#
# *Shrunk* (rétréci) : le chiffre est posé au hasard sur un canevas deux fois plus grand, qui est ensuite réduit. Il
# devient petit et fin.
#
# **Trou 4.** Dégradez les images de validation : `imparfait.corrupt(données, nom, sévérité)` avec `"shrunk"` et `1.0`.

# %%
shrunk = imparfait.corrupt(validation, "shrunk", 1.0)  # blank 4

check(4, getattr(shrunk, "pixels", shrunk), imparfait.core_suite(validation)[2].data.pixels)
predicted = clean_network(shrunk)
show(shrunk.pixels[:8], [f"{label} → {digit}" for label, digit in zip(shrunk.labels[:8], predicted[:8], strict=True)])
print(f"shrunk digits: {100 * np.mean(predicted == shrunk.labels):.1f} %")

# %% [markdown] lang="en"
# ## 5. Train on corrupted digits too
#
# The augmentation `"core"` shows each image in turn clean, geometric (rotated, shifted) and shrunk.
#
# **Blank 5.** Name this augmentation.

# %% [markdown] lang="fr"
# ## 5. Entraîner aussi sur des chiffres dégradés
#
# L'augmentation `"core"` montre chaque image tour à tour intacte, *geometric* (tournée, décalée) et rétrécie.
#
# **Trou 5.** Donnez le nom de cette augmentation.

# %%
augmentation = "core"  # blank 5

check(5, augmentation, "core")
robust_network = train_network(augmentation)
conditions = {"clean": validation, "moved": moved, "shrunk": shrunk}
_, axes = plt.subplots(figsize=(7, 2.6), layout="constrained")
for shift, (name, network) in enumerate({"clean digits": clean_network, "core": robust_network}.items()):
    accuracies = [100 * np.mean(network(data) == data.labels) for data in conditions.values()]
    bars = axes.bar(np.arange(len(conditions)) + 0.4 * shift, accuracies, 0.38, label=f"trained on: {name}")
    axes.bar_label(bars, fmt="%.0f")
axes.set_xticks(np.arange(len(conditions)) + 0.2, conditions)
axes.set(ylabel="accuracy, %", ylim=(0, 115))
axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
plt.show()

# %% [markdown] lang="en"
# ## 6. What is still wrong?
#
# **Blank 6.** An array that is `True` where the prediction differs from the label: use `!=` with `predicted` and
# `shrunk.labels`.

# %% [markdown] lang="fr"
# ## 6. Quelles erreurs restent ?
#
# **Trou 6.** Un tableau qui vaut `True` là où la prédiction diffère de l'étiquette : utilisez `!=` avec `predicted` et
# `shrunk.labels`.

# %%
predicted = robust_network(shrunk)

wrong = predicted != shrunk.labels  # blank 6

check(6, wrong, ~(predicted == shrunk.labels))
first = np.flatnonzero(wrong)[:8]
show(shrunk.pixels[first], [f"{shrunk.labels[i]} → {predicted[i]}" for i in first])
print(f"{wrong.sum()} of {len(wrong)} are wrong")

# %% [markdown] lang="en"
# ## Questions
#
# 1. Both networks have the same layers. What is different?
# 2. Which digits does the first network predict for most shrunk images, and why?
# 3. Could *you* read the images that are still wrong?
# 4. Turn the digits upside down: `np.rot90(validation.pixels, 2, axes=(2, 3))`. Why should a network not learn that?

# %% [markdown] lang="fr"
# ## Questions
#
# 1. Les deux réseaux ont les mêmes couches. Qu'est-ce qui diffère ?
# 2. Quels chiffres le premier réseau prédit-il pour la plupart des images rétrécies, et pourquoi ?
# 3. Sauriez-vous lire, *vous*, les images encore mal classées ?
# 4. Mettez les chiffres à l'envers : `np.rot90(validation.pixels, 2, axes=(2, 3))`. Pourquoi un réseau ne doit-il pas
#    apprendre cela ?
