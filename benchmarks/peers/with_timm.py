"""timm's `train.py --model resnet18 --input-size 1 32 32 --aa rand-m9-mstd0.5-inc1`, from random weights.

pip's timm has no train.py: this is a loop of our own around timm's loader, optimizer, schedule and loss, with the
defaults that its train.py documents: batches of 128; SGD with Nesterov's momentum of 0.9 and weight decay of 2e-5, from
0.1 for a batch of 256, so 0.05 here; cosine to 0 with a warm-up from 1e-5; label smoothing of 0.1; crops of 8 to 100 %
of the area, mirrored half of the time. RandAugment as above is what its published settings add. Images of the study's
augmentation, which are corrupted already, are taken as with --no-aug. Two differ: the cosine ends when the time does, after so
many epochs as a few steps before the first say, not after 300; and the warm-up is an eighth of them, at most its 5.
"""

import time

import numpy as np
import torch
import torchvision_here  # noqa: F401 - before what imports torchvision
from PIL import Image
from timm import create_model
from timm.data import create_loader, create_transform
from timm.loss import LabelSmoothingCrossEntropy
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from timm.utils import random_seed
from torch import nn
from torch.utils.data import DataLoader, Dataset
from worker import Worker

BATCH, TRIAL = 128, 24  # images; steps before the first that are timed
SIZE, MEAN, STD = (1, 32, 32), (0.1307,), (0.3081,)


class Pictures(Dataset):
    """Images in memory, one by one through timm's transforms: nothing has to be read and decoded."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.x, self.y, self.transform = x, y, None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.x[index])), int(self.y[index])


def loader_of(worker: Worker) -> DataLoader:
    return create_loader(
        Pictures(worker.x, worker.y),
        SIZE,
        BATCH,
        is_training=True,
        no_aug=not worker.own_alterations,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="random" if worker.own_alterations else "bilinear",
        mean=MEAN,
        std=STD,
        num_workers=worker.threads,
        device=torch.device("cpu"),
        use_prefetcher=False,
    )


def network() -> nn.Module:
    return create_model("resnet18", in_chans=1, num_classes=10)


def epoch_of(model: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader, steps: int | None = None) -> None:
    loss_of = LabelSmoothingCrossEntropy(0.1)
    model.train()
    for step, (images, labels) in enumerate(loader):
        if step == steps:
            break
        optimizer.zero_grad()
        loss_of(model(images), labels).backward()
        optimizer.step()


def optimiser_of(model: nn.Module) -> torch.optim.Optimizer:
    return create_optimizer_v2(model, opt="sgd", lr=0.1 * BATCH / 256, weight_decay=2e-5, momentum=0.9)


def epochs_in(worker: Worker) -> int:
    """How many epochs fit in the time, from a few steps of another network; at most the 300 of train.py."""
    model = network()
    loader, optimizer = loader_of(worker), optimiser_of(model)
    steps = min(TRIAL, len(loader))
    epoch_of(model, optimizer, loader, 2)  # the first steps are slower
    before = time.perf_counter()
    epoch_of(model, optimizer, loader, steps)
    return min(300, max(1, round(worker.budget / ((time.perf_counter() - before) / steps * len(loader)))))


def main() -> None:
    worker = Worker()
    torch.set_num_threads(worker.threads)
    random_seed(worker.seed)
    epochs = worker.epochs or epochs_in(worker)
    random_seed(worker.seed)
    worker.begin()
    model, loader = network(), loader_of(worker)
    optimizer = optimiser_of(model)
    schedule, _ = create_scheduler_v2(
        optimizer, "cosine", num_epochs=epochs, warmup_epochs=min(5, epochs // 8), warmup_lr=1e-5
    )
    transform = create_transform(SIZE, mean=MEAN, std=STD, crop_pct=1.0)

    def answer(x: np.ndarray) -> np.ndarray:
        images = torch.stack([transform(Image.fromarray(image)) for image in x])
        with torch.inference_mode():
            return torch.cat([model(part).argmax(1) for part in images.split(500)]).numpy()

    for epoch in range(epochs):
        epoch_of(model, optimizer, loader)
        schedule.step(epoch + 1)
        model.eval()
        if not worker.after_epoch(answer):
            break


if __name__ == "__main__":
    main()
