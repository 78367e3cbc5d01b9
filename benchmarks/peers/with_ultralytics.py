"""Train Ultralytics' yolo26n-cls for run.py, like `yolo classify train model=yolo26n-cls.yaml imgsz=32`.

Random initial weights, images read from PNG folders, all other settings at their defaults: batches of 16, automatic
optimizer, RandAugment, flips, erasing and crops. On the mixture, which is corrupted already, no augmentation. It gets
the time limit (`time`), by which it plans its steps; the first three epochs are a warm-up of the learning rate. Its
averaged weights are scored after each epoch. It would choose its best epoch on validation images; here validation is
off.
"""

import os
import tempfile

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}  # no downloads
os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp()

import numpy as np
import torch
import torchvision_cpu  # noqa: F401 - before anything that imports torchvision
from PIL import Image
from ultralytics import YOLO
from ultralytics.data.augment import classify_transforms
from worker import Worker

SIZE = 32
NO_AUGMENTATION = {
    "auto_augment": None,
    "erasing": 0.0,
    "fliplr": 0.0,
    "scale": 0.0,
    "hsv_h": 0.0,
    "hsv_s": 0.0,
    "hsv_v": 0.0,
}


def main() -> None:
    worker = Worker()
    worker.begin()
    transform = classify_transforms(SIZE)

    def after(trainer) -> None:
        worker.threads_inside = torch.get_num_threads()
        model = trainer.ema.ema.eval()
        names = np.array([int(trainer.data["names"][index]) for index in range(10)])

        def predict(x: np.ndarray) -> np.ndarray:
            images = torch.stack([transform(Image.fromarray(image).convert("RGB")) for image in x])
            with torch.inference_mode():
                outputs = [model(batch) for batch in images.split(500)]
            outputs = [each[0] if isinstance(each, tuple) else each for each in outputs]  # (probabilities, logits)
            return names[torch.cat(outputs).argmax(1).numpy()]

        if not worker.after_epoch(predict):
            trainer.stop = True
        trainer.train_time_start += worker.paused
        trainer.epoch_time_start += worker.paused

    model = YOLO("yolo26n-cls.yaml")
    # Its device selection, which comes before, sets one thread fewer than there are cores.
    model.add_callback("on_train_start", lambda trainer: torch.set_num_threads(worker.threads))
    model.add_callback("on_train_epoch_end", after)  # on_fit_epoch_end would run once more at the end
    with tempfile.TemporaryDirectory() as folder:
        model.train(
            data=worker.image_folder,
            imgsz=SIZE,
            device="cpu",
            seed=worker.seed,
            epochs=worker.epochs or 100,
            time=None if worker.epochs else worker.budget / 3600,
            val=False,
            save=False,
            plots=False,
            project=folder,
            **({} if worker.own_augmentation else NO_AUGMENTATION),
        )


if __name__ == "__main__":
    main()
