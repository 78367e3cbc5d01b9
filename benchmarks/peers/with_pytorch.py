"""Train a plain PyTorch MNIST network for run.py, as described by PyTorch's `mnist` example but written independently.

Two convolutions of 32 and 64 filters, pooling, 128 hidden units, dropout of 0.25 and 0.5. Adadelta from 1.0, times 0.7
after each of 14 epochs, batches of 64. Pixels are normalised by 0.1307 and 0.3081; no augmentation. The example decodes
its images one by one; here they are tensors in memory, which is in its favour.
"""

import numpy as np
import torch
from torch import nn
from worker import Worker


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.25),
        nn.Flatten(),
        nn.Linear(64 * 12 * 12, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 10),
    )


def as_tensor(x: np.ndarray) -> torch.Tensor:
    return (torch.from_numpy(x)[:, None] / 255 - 0.1307) / 0.3081


def main() -> None:
    worker = Worker()
    torch.set_num_threads(worker.threads)
    torch.manual_seed(worker.seed)
    worker.begin()
    images, labels = as_tensor(worker.x), torch.from_numpy(worker.y).long()
    model = network()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.7)

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return torch.cat([model(part).argmax(1) for part in as_tensor(x).split(1000)]).numpy()

    worker.threads_inside = torch.get_num_threads()
    for _ in range(worker.epochs or 14):
        model.train()
        for batch in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        if not worker.after_epoch(predict):
            break


if __name__ == "__main__":
    main()
