"""airbench94 trained by torch, on the batches of our loader: what a run of ours is judged by.

The network is the tests' twin, from our initial weights; the whitening, the steps, Lookahead and
the six views of the test are torch's, written from the author's code. The folder has a
`history.csv` like that of `minicnn train`; the last lines are the accuracies with one view and six.

    python benchmarks/airbench94_torch.py --data cifar10 --seed 0
"""

import argparse
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from recipes import as_torch, columns, evaluate, make_optimizer, run_folder, twin

from minicnn import data, models
from minicnn.training.arguments import as_sets, make_loader
from minicnn.training.history import COLUMNS, History
from minicnn.training.history import describe as describe_row

NAME, EPOCHS, WHITEN_EPOCHS = "airbench94", 9.9, 3


@torch.no_grad()
def whiten(layer: Any, x: torch.Tensor, eps: float = 5e-4) -> None:
    """Set the filters to the scaled eigenvectors of the patches of x, and their negatives."""
    patches = x.unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).double()
    values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    scaled = (vectors / torch.sqrt(values + eps)).T.flip(0).reshape(12, 3, 2, 2)
    layer.weight.copy_(torch.cat([scaled, -scaled]))


class Lookahead:
    """Every fifth step the weights and statistics return to slow ones, whose decay grows."""

    def __init__(self, model: torch.nn.Module):
        self.slow = {k: v.clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module, decay: float) -> None:
        """`slow = decay * slow + (1 - decay) * fast; fast = slow`."""
        for name, fast in model.state_dict().items():
            if fast.dtype == torch.float32:
                self.slow[name].lerp_(fast, 1 - decay)
                fast.copy_(self.slow[name])


def mirrored(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The mean logits of the images and their mirror images."""
    return (model(x) + model(x.flip(3))) / 2


def six_views(model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Half of the mean logits of the images, and a quarter of those shifted by a pixel each way."""
    framed = F.pad(x, (1, 1, 1, 1), mode="reflect")
    shifted = mirrored(model, framed[..., :32, :32]) + mirrored(model, framed[..., 2:, 2:])
    return mirrored(model, x) / 2 + shifted / 4


def train_epoch(run: Any, model: Any, optimizer: Any, loader: Any) -> dict[str, Any]:
    """One epoch, or the last part; its columns of the history."""
    model.train()
    total = int(np.ceil(EPOCHS * len(loader)))
    epoch, started = loader.epoch, time.perf_counter()
    model[0].bias.requires_grad = epoch < WHITEN_EPOCHS
    loss_sum = right = seen = 0
    for batch, (x, labels) in enumerate(loader):
        step = epoch * len(loader) + batch
        rate = run.plan.lr * np.interp(step / total, [0, 0.23, 1], [0.2, 1, 0.07])
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        outputs, targets = model(as_torch(x)), torch.from_numpy(labels)
        loss = F.cross_entropy(outputs, targets, label_smoothing=0.2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % 5 == 0:
            run.lookahead.update(model, 0.95**5 * ((step + 1) / total) ** 3)
        loss_sum += loss.item() * len(x)
        right += int((outputs.argmax(1) == targets).sum())
        seen += len(x)
        if step + 1 == total:
            run.lookahead.update(model, 1.0)
            break
    return columns(epoch, loss_sum, right, seen, rate, time.perf_counter() - started)


def main() -> None:
    """Train, and write `history.csv` and `configuration.json`."""
    run = parse()
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    train, held_out, _ = as_sets(*data.load_splits(run.data)[:2])
    if run.limit:  # the same images as those of `minicnn train --limit`
        generators = np.random.default_rng(0), np.random.default_rng(0)
        train, held_out = (
            part[np.sort(generator.permutation(len(part))[: run.limit])]
            for part, generator in zip((train, held_out), generators, strict=True)
        )
    ours = models.create(NAME, seed=run.seed, num_classes=len(train.classes))
    run.plan = ours.recipe
    model = twin(NAME, ours, len(train.classes))
    loader = make_loader(ours, train, run.plan, None, None, None, run.seed)
    rows = np.unique(np.linspace(0, len(train) - 1, min(5000, len(train))).astype(np.int64))
    whiten(model[0], as_torch(loader.preprocess(train.images[rows])))
    optimizer, run.lookahead = make_optimizer(ours, model, run.plan), Lookahead(model)
    folder = run_folder(run, NAME, "default", train, held_out)
    history = History()
    while loader.epoch < int(EPOCHS) or len(history.rows) == int(EPOCHS):
        row = dict.fromkeys(COLUMNS) | train_epoch(run, model, optimizer, loader)
        row["test_loss"], row["test_accuracy"] = evaluate(model, held_out, loader.preprocess)
        history.rows.append(row)
        print(f"epoch {row['epoch']}/{EPOCHS}: {describe_row(row)}", flush=True)
        history.save_csv(folder / "history.csv")
    print(f"test accuracy with 1 view: {row['test_accuracy']:.2%}", flush=True)
    accuracy = evaluate(model, held_out, loader.preprocess, six_views)[1]
    print(f"test accuracy with 6 views: {accuracy:.2%}", flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", default="cifar10", help="as for `minicnn train`")
    parser.add_argument("--limit", type=int, help="use so many images, for a trial")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the run's folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
