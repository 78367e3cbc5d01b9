"""Train timm's resnet18 for run.py, like `train.py --model resnet18 --input-size 1 32 32 --aa rand-m9-mstd0.5-inc1`.

The timm package has no train.py. This loop uses timm's loader, optimizer, schedule and loss with the documented
defaults of its train.py: random initial weights; batches of 128; SGD with Nesterov momentum 0.9 and weight decay 2e-5;
learning rate 0.1 per batch of 256, so 0.05 here; cosine decay to 0 with a warm-up from 1e-5; label smoothing 0.1; crops
of 8 to 100 % of the area; horizontal flips. RandAugment as above comes from its published settings. On the mixture,
--no-aug.

Two things differ. The cosine spans the epochs that fit the time limit, estimated from a few steps, not 300. The warm-up
is an eighth of them, at most train.py's 5.
"""

import time

import numpy as np
import torch
import torchvision_cpu  # noqa: F401 - before anything that imports torchvision
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

BATCH, TRIAL_STEPS = 128, 24
SIZE, MEAN, STD = (1, 32, 32), (0.1307,), (0.3081,)


class MemoryDataset(Dataset):
    """Images in memory, passed one by one through timm's transforms."""

    def __init__(self, x: np.ndarray, y: np.ndarray):
        self.x, self.y, self.transform = x, y, None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.x[index])), int(self.y[index])


def loader_of(worker: Worker) -> DataLoader:
    return create_loader(
        MemoryDataset(worker.x, worker.y),
        SIZE,
        BATCH,
        is_training=True,
        no_aug=not worker.own_augmentation,
        auto_augment="rand-m9-mstd0.5-inc1",
        interpolation="random" if worker.own_augmentation else "bilinear",
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


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    return create_optimizer_v2(model, opt="sgd", lr=0.1 * BATCH / 256, weight_decay=2e-5, momentum=0.9)


def epochs_in(worker: Worker) -> int:
    """Number of epochs that fit the time limit, estimated on another network; at most train.py's 300."""
    model = network()
    loader, optimizer = loader_of(worker), optimizer_of(model)
    steps = min(TRIAL_STEPS, len(loader))
    epoch_of(model, optimizer, loader, 2)  # warm-up
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
    optimizer = optimizer_of(model)
    schedule, _ = create_scheduler_v2(
        optimizer, "cosine", num_epochs=epochs, warmup_epochs=min(5, epochs // 8), warmup_lr=1e-5
    )
    transform = create_transform(SIZE, mean=MEAN, std=STD, crop_pct=1.0)

    def predict(x: np.ndarray) -> np.ndarray:
        images = torch.stack([transform(Image.fromarray(image)) for image in x])
        with torch.inference_mode():
            return torch.cat([model(batch).argmax(1) for batch in images.split(500)]).numpy()

    worker.threads_inside = torch.get_num_threads()
    for epoch in range(epochs):
        epoch_of(model, optimizer, loader)
        schedule.step(epoch + 1)
        model.eval()
        if not worker.after_epoch(predict):
            break


if __name__ == "__main__":
    main()
