"""scikit-learn's best simple model for images of digits: a support vector machine on their pixels, over 255.

SVC with C=10, and its default kernel (RBF, gamma "scale"). It learns in one go, so that its line in the figure is of
fits on a sixteenth, a quarter and all of the images, each by itself. A short trial chose it before
HistGradientBoostingClassifier: from the study's augmentation of 2,000 images for fitting, 65.7 against 63.4 % of 1,000
validation images, on the core mean, in 1.9 and 46.6 seconds of one core.
"""

import numpy as np
from joblib import Parallel, delayed
from sklearn.svm import SVC
from worker import Worker

PARTS = (16, 4, 1)


def as_floats(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype(np.float32) / 255


def main() -> None:
    worker = Worker()
    order = np.random.default_rng(worker.seed).permutation(len(worker.y))
    worker.begin()
    for part in PARTS:
        few = order[: len(order) // part]
        # One thread is all it uses. Its documentation wants a larger cache than 200 MB where there is memory.
        model = SVC(C=10, cache_size=2000).fit(as_floats(worker.x[few]), worker.y[few])

        def answer(x: np.ndarray, model: SVC = model) -> np.ndarray:
            parts = np.array_split(as_floats(x), worker.threads)
            return np.concatenate(Parallel(worker.threads, "threading")(delayed(model.predict)(each) for each in parts))

        if not worker.after_epoch(answer, alone=True):
            break


if __name__ == "__main__":
    main()
