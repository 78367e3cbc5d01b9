"""Ultralytics' `yolo classify train model=yolo26n-cls.yaml imgsz=32`, from random weights, on folders of PNG files.

All else is as it is by default: batches of 16, its optimizer for the occasion, RandAugment, mirroring, erasing and
crops; of the study's augmentation, which is corrupted already, none of these. It is told how long it may learn (`time`), by
which it plans its steps. Scored are its averaged weights after each epoch. It would choose its best epoch by its
validation images; here it validates on none.
"""

import os
import tempfile

os.environ |= {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}  # it would ask the network for this and that
os.environ["YOLO_CONFIG_DIR"] = tempfile.mkdtemp()

import numpy as np
import torch
import torchvision_here  # noqa: F401 - before what imports torchvision
from PIL import Image
from ultralytics import YOLO
from ultralytics.data.augment import classify_transforms
from worker import Worker

SIZE = 32
AS_THEY_ARE = {
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
    torch.set_num_threads(worker.threads)
    worker.begin()
    transform = classify_transforms(SIZE)

    def after(trainer) -> None:
        model = trainer.ema.ema.eval()
        names = np.array([int(trainer.data["names"][index]) for index in range(10)])

        def answer(x: np.ndarray) -> np.ndarray:
            images = torch.stack([transform(Image.fromarray(image).convert("RGB")) for image in x])
            with torch.inference_mode():
                said = [model(part) for part in images.split(500)]
            said = [part[0] if isinstance(part, tuple) else part for part in said]  # probabilities, logits
            return names[torch.cat(said).argmax(1).numpy()]

        if not worker.after_epoch(answer):
            trainer.stop = True
        trainer.train_time_start += worker.paused
        trainer.epoch_time_start += worker.paused

    model = YOLO("yolo26n-cls.yaml")
    model.add_callback("on_train_epoch_end", after)  # the one after it comes once more at the end
    with tempfile.TemporaryDirectory() as folder:
        model.train(
            data=worker.images,
            imgsz=SIZE,
            device="cpu",
            seed=worker.seed,
            epochs=worker.epochs or 100,
            time=None if worker.epochs else worker.budget / 3600,
            val=False,
            save=False,
            plots=False,
            project=folder,
            **({} if worker.own_alterations else AS_THEY_ARE),
        )


if __name__ == "__main__":
    main()
