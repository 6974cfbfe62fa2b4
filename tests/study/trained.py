"""Small runs, and runs that were never trained, for the tests of what reads runs."""

import json

from minicnn import data, training
from minicnn.layers import Conv2d, Flatten, Linear, MaxPool2d, Network
from minicnn.study.runs import CONFIGURATION, Run
from minicnn.training.history import COLUMNS, History

SETTINGS = {
    "model": "tiny",
    "options": {},
    "network": "Network(\n  conv: Conv2d(1, 4)\n  fc: Linear(196, 10)\n)",
    "data": "digits, 1438 images, hash 0123456789ab",
    "test data": "digits, 400 images, hash 123456789abc",
    "validation data": None,
    "batch_size": 64,
    "seed": 0,
    "optimizer": "SGD",
    "lr": 0.1,
    "multipliers of (lr, weight_decay)": {"conv.weight": [1.0, 1.0], "conv.bias": [2.0, 0.0]},
    "epochs": 4,
}


def row(epoch, loss, error):
    """A row of a history."""
    values = {"train_loss": loss, "train_accuracy": 1 - error, "seconds": 2.0}
    values |= {"test_loss": loss, "test_accuracy": 1 - error}
    return dict.fromkeys(COLUMNS) | {"epoch": epoch, **values}


def made_up(path="runs/mine", errors=(0.4, 0.2, 0.1, 0.1), **settings):
    """A run with these test errors and settings, and losses that are twice the errors."""
    rows = [row(epoch, 2 * error, error) for epoch, error in enumerate(errors, start=1)]
    history = History(rows, best_epoch=len(rows))
    return Run(path, str(path), history, SETTINGS | settings, {"recipe": "default"}, 100)


def trained(folder, seed=0, epochs=2, test_images=100, **options):
    """Train a small network on a part of the digits, in that folder."""
    network = Network(
        conv=Conv2d(1, 4, 5, stride=2, activation="relu"),
        pool=MaxPool2d(2),
        flatten=Flatten(),
        fc=Linear(196, 10),
        input_shape=(32, 32, 1),
    )
    train, test = data.digits()
    preprocess = data.Preprocess(size=(32, 32), mean=0.3, std=0.3)
    options |= {"preprocess": preprocess, "progress": False, "out": folder}
    training.fit(network, train[:300], test[:test_images], seed=seed, epochs=epochs, **options)
    return network


def as_torchs(folder, errors=(0.4, 0.2, 0.1, 0.1), **settings):
    """A folder as benchmarks/recipes.py leaves it."""
    folder.mkdir()
    run = made_up(errors=errors)
    run.history.save_csv(folder / "history.csv")
    names = ("data", "test data", "seed")
    found = {"model": "tiny", "engine": "torch", "torch": "2.13.0", "machine": "a machine"}
    found |= {name: SETTINGS[name] for name in names} | settings
    (folder / CONFIGURATION).write_text(json.dumps(found))
    return folder
