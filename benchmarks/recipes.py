"""Train a network by its recipe in torch: what a run of ours is judged by.

The twin of the tests starts from the same weights and gets the same batches, augmented by the same
random numbers; torch does everything from the network's input to the update of the weights. The run
folder has a `history.csv` like that of `minicnn train`. A run that was interrupted goes on after
its last epoch when the command is given again. --compile trains with `torch.compile`.

    python benchmarks/recipes.py resnet20_cifar --recipe short --data cifar10 --seed 0
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import numpy as np
import torch
import torch.nn.functional as F

from minicnn import data, models, registry
from minicnn.layers import Network
from minicnn.training import Recipe
from minicnn.training.arguments import as_sets, make_loader
from minicnn.training.configuration import describe, identity
from minicnn.training.history import COLUMNS, History
from minicnn.training.history import describe as describe_row
from minicnn.weights.torch_state import array_to_torch, flattened_maps

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.models import twins

EVALUATION_BATCH = 500


def twin(name: str, ours: Network, classes: int) -> torch.nn.Module:
    """The network in torch, with the same weights, in channels_last."""
    model = twins.pair(name, classes, full=True)[1](None)
    maps = flattened_maps(ours)
    for (path, parameter), theirs in zip(ours.named_parameters(), model.parameters(), strict=True):
        value = array_to_torch(parameter.value, maps.get(path))
        theirs.data = torch.tensor(np.ascontiguousarray(value))
    return model.to(memory_format=torch.channels_last)


class CaffeSGD(torch.optim.Optimizer):
    """v = momentum * v + lr * (gradient + weight_decay * w);  w = w - v."""

    def __init__(self, groups: list[dict], **defaults: float):
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        """Update all weights."""
        for group in self.param_groups:
            for p in group["params"]:
                v = self.state[p].setdefault("velocity", torch.zeros_like(p))
                v.mul_(group["momentum"])
                v.add_(p.grad + group["weight_decay"] * p, alpha=group["lr"])
                p.sub_(v)


def make_optimizer(ours: Network, model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD with the recipe's options; each parameter has its own multiples of rate and decay."""
    if recipe.optimizer != "sgd":
        raise SystemExit(f"the recipe's optimizer is {recipe.optimizer}; only sgd is written here")
    options = dict(recipe.options)
    kind: Any = CaffeSGD if options.pop("form", "torch") == "caffe" else torch.optim.SGD
    decay = options.pop("weight_decay", 0.0)
    factors = recipe.make_optimizer(ours).effective_multipliers()
    groups = [
        {"params": [p], "factor": rate, "weight_decay": decay * of_decay}
        for p, (rate, of_decay) in zip(model.parameters(), factors, strict=True)
    ]
    return kind(groups, lr=recipe.lr, **options)


def as_torch(x: np.ndarray) -> torch.Tensor:
    """A batch `(N, H, W, C)` as torch sees it, `(N, C, H, W)` in channels_last; no copy."""
    return torch.from_numpy(x).permute(0, 3, 1, 2)


def evaluate(
    model: torch.nn.Module,
    dataset: data.Dataset,
    preprocess: Any,
    outputs_of: Callable[..., torch.Tensor] = torch.nn.Module.__call__,
) -> tuple[float, float]:
    """The mean loss, and the accuracy in 0..1. outputs_of(model, x): the logits of a batch."""
    model.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(dataset), EVALUATION_BATCH):
            rows = np.arange(start, min(start + EVALUATION_BATCH, len(dataset)))
            outputs = outputs_of(model, as_torch(preprocess(dataset.images[rows])))
            labels = torch.from_numpy(dataset.labels[rows])
            loss += float(F.cross_entropy(outputs, labels, reduction="sum"))
            right += int((outputs.argmax(1) == labels).sum())
    return loss / len(dataset), right / len(dataset)


def train_epoch(run: argparse.Namespace, model: Any, optimizer: Any, loader: Any) -> dict:
    """One epoch; its columns of the history."""
    model.train()
    loss_sum = right = seen = 0
    epoch, started = loader.epoch, time.perf_counter()
    for batch, (x, labels) in enumerate(loader):
        step = epoch * len(loader) + batch
        rate = run.plan.lr * run.schedule.at(step, len(loader), run.plan.epochs)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        outputs = model(as_torch(x))
        targets = torch.from_numpy(labels)
        loss = F.cross_entropy(outputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(x)
        right += int((outputs.detach().argmax(1) == targets).sum())
        seen += len(x)
    return columns(epoch, loss_sum, right, seen, rate, time.perf_counter() - started)


def columns(
    epoch: int, loss_sum: float, right: int, seen: int, rate: float, seconds: float
) -> dict[str, Any]:
    """The columns of the history that training fills; epoch: those before it."""
    return {
        "epoch": epoch + 1,
        "train_loss": loss_sum / seen,
        "train_accuracy": right / seen,
        "learning_rate": rate,
        "seconds": seconds,
        "images_per_second": seen / seconds,
    }


def run_folder(
    run: argparse.Namespace,
    name: str,
    recipe: str,
    train: data.Dataset,
    held_out: data.Dataset,
    **more: bool,
) -> Path:
    """Make the run's folder, and write `configuration.json` into it. more: its further entries."""
    folder = run.out or Path("runs") / f"torch-{name}-{recipe}-{run.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "model": name,
        "engine": "torch",
        "epochs": run.plan.epochs,
        "recipe": {key: describe(value) for key, value in vars(run.plan).items()},
        "seed": run.seed,
        "data": identity(train),
        "test data": identity(held_out),
        **more,
        **common.environment(run.threads),
    }
    (folder / "configuration.json").write_text(json.dumps(settings, indent=1))
    return folder


def main() -> None:
    """Train, and write `history.csv`, `configuration.json` and torch's checkpoint."""
    run = parse()
    torch.set_num_threads(run.threads)
    entry = registry.entry(run.network)
    run.plan = entry.recipe(run.recipe, run.data)
    run.schedule = run.plan.make_schedule()
    train, held_out, _ = as_sets(*data.load_splits(run.data or run.plan.data)[:2])
    classes = len(train.classes)
    ours = models.create(run.network, seed=run.seed, num_classes=classes)
    model = twin(run.network, ours, classes)
    loader = make_loader(ours, train, run.plan, None, None, None, run.seed)
    optimizer = make_optimizer(ours, model, run.plan)
    named = run.network, run.recipe or "default"
    folder = run_folder(run, *named, train, held_out, compiled=run.compile)
    forward = torch.compile(model, dynamic=False) if run.compile else model
    history, checkpoint = History(), folder / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=False)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        history.rows, loader.epoch = state["rows"], len(state["rows"])
        torch.set_rng_state(state["random"])
    else:
        torch.manual_seed(run.seed)
    while loader.epoch < run.plan.epochs:
        row = dict.fromkeys(COLUMNS) | train_epoch(run, forward, optimizer, loader)
        row["test_loss"], row["test_accuracy"] = evaluate(model, held_out, loader.preprocess)
        history.rows.append(row)
        print(f"epoch {row['epoch']}/{run.plan.epochs}: {describe_row(row)}", flush=True)
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rows": history.rows,
            "random": torch.get_rng_state(),
        }
        torch.save(state, checkpoint.with_suffix(".part"))
        os.replace(checkpoint.with_suffix(".part"), checkpoint)
        history.save_csv(folder / "history.csv")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("network")
    parser.add_argument("--recipe", help="the name of one of the network's recipes")
    parser.add_argument("--data", help="as for `minicnn train`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="the run's folder")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--compile", action="store_true", help="train with torch.compile")
    return parser.parse_args()


if __name__ == "__main__":
    main()
