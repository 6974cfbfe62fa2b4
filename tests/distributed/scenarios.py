"""Small trainings and sums, for one process and for several: the results must be the same."""

import json
import math
import sys
import time
from pathlib import Path

import numpy as np

import minicnn
from minicnn import training
from minicnn.data.augment.geometry import RandomShift
from minicnn.distributed import Launch, accumulation
from minicnn.distributed.agreement import check_weights, checksum
from minicnn.distributed.buckets import Bucket
from minicnn.distributed.faults import end_all_after_errors
from minicnn.distributed.team import Ranks, Team
from minicnn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, Sequential
from minicnn.training import fitting

IMAGES = 53  # updates of 24, 24 and 5: with eight shards, three of the last update are empty
GENERATOR = np.random.default_rng(0)
X = GENERATOR.integers(0, 256, (IMAGES, 6, 6, 2)).astype(np.uint8)
LABELS = np.arange(IMAGES) % 3


def network():
    minicnn.seed(1)
    return Sequential(
        Conv2d(2, 4, 3, activation="relu", padding=1),
        Dropout(0.3),
        BatchNorm2d(4),
        Conv2d(4, 2, 3, activation="relu"),
        Flatten(),
        Linear(32, 3),
    )


SYNC = {"sync_bn": True, "average": None}


def scaled(pixels):
    return pixels.astype(np.float32) / 255


def train(team, data=(X, LABELS), model=None, most=1 << 20, **options):
    """The trained network's checksum, and what the history has. most: bytes of a bucket."""
    model, used = model or network(), []
    accumulation.bucket_size = lambda *sizes: most
    fitting.join = lambda: team
    history = training.fit(
        model,
        data,
        (data[0][:40], data[1][:40]),
        **{
            "epochs": 2,
            "batch_size": 24,
            "lr": 0.1,
            "momentum": 0.9,
            "optimizer": "sgd",
            "clip": training.ClipNorm(1.0),
            "augment": RandomShift(1),
            "preprocess": scaled,
            "average": training.EMA(0.9),
            "progress": False,
            "distributed": True,
            "callbacks": [Note(used)],
        }
        | options,
    )
    numbers = [history.column(name) for name in ("train_loss", "train_accuracy", "test_loss")]
    return {"weights": checksum(model), "numbers": numbers, "losses": used}


class Note(training.Callback):
    """The loss of each update. Ranks are slow by turns, so that their messages cross."""

    def __init__(self, losses):
        self.losses = losses

    def on_step_end(self, trainer, loss):
        self.losses.append(loss)
        time.sleep(0.002 * ((trainer.iteration + trainer.team.rank) % 3 == 0))


def same(team, value):
    """`value`, which all ranks have."""
    every = team.gather(value)
    assert every == [value] * team.size, every
    return value


def message(team, function):
    """The text of the error that `function` raises at all ranks."""
    try:
        function()
    except Exception as error:
        return same(team, f"{type(error).__name__}: {error}")
    return same(team, "no error")


def sums(team):
    """Sums of random arrays whose order of addition shows in the bits, and the bytes sent."""
    generator = np.random.default_rng(5)
    found = {}
    for dtype in (np.float32, np.float64):
        arrays = [generator.standard_normal((team.size, n)).astype(dtype) for n in (1, 7, 30)]
        bucket = Bucket(team, [1, 7, 30], np.dtype(dtype))
        before = team.bytes_sent
        for i, array in enumerate(arrays):
            assert not bucket.is_full
            bucket.put(i, array[team.rank], 0.75)
        bucket.start(range(team.size), 1 / 3)
        while not bucket.progress(True):
            pass
        bucket.wait()
        for i, array in enumerate(arrays):
            total = array[0] * dtype(0.75)
            for row in array[1:]:
                total += row * dtype(0.75)
            np.testing.assert_array_equal(bucket.result(i), total * dtype(1 / 3))
        part = math.ceil(38 / team.size) * np.dtype(dtype).itemsize
        assert team.bytes_sent - before == 2 * (team.size - 1) * part
        found[np.dtype(dtype).name] = "equal"
    return same(team, found)


def of(team, folder):
    """What this team computes, as JSON can hold it."""
    found = {
        "sums": sums(team) if team.size > 1 else {},
        "one batch": same(team, train(team)),
        "eight shards": same(team, train(team, batch_size=3, accumulate=8, most=1)),
    }
    if team.size in (2, 3, 4):
        found["sync"] = same(team, train(team, **SYNC))
    if team.size == 4:
        same(team, train(team, epochs=1, out=folder / "run"))
    return found


def of_two(team, folder):
    """What two ranks do after others."""
    options = {"out": folder / "run", "resume": True}
    resumed = same(team, train(team, **options))  # four shards, of which each rank computes two
    alone = folder / "alone"
    if team.is_first:
        train(Team(), epochs=1, out=alone)
    team.first(lambda: None)
    more = same(team, train(team, out=alone, resume=True))
    nan = X.astype(np.float32) / 255
    nan[7] = np.nan
    data = {"data": (nan, LABELS), "augment": None, "preprocess": None}
    other = network() if team.is_first else network().initialize(bias=1.0)
    return {
        "resumed": resumed,
        "more": more,
        "lr": message(team, lambda: train(team, lr=0.1 + team.rank)),
        "sync": message(team, lambda: train(team, batch_size=53, accumulate=3, sync_bn=True)),
        "data": message(team, lambda: train(team, (X[team.rank :], LABELS[team.rank :]))),
        "weights": message(team, lambda: check_weights(other, team)),
        "initial": message(team, lambda: train(team, model=other)),
        "nan": message(team, lambda: train(team, **data)),
        "written": sorted(path.name for path in (folder / "run").iterdir()),
    }


def main(folder):
    """Under mpirun -n 8: teams of 8, then of 4, 3 and 1 at the same time, then of 2."""
    from mpi4py import MPI

    minicnn.use("reference")
    world, found = MPI.COMM_WORLD, {}
    end_all_after_errors(Launch(world.rank, world.size))
    for name, groups in (("of", [8]), ("of", [4, 3, 1]), ("of_two", [2])):
        color = next((i for i, n in enumerate(np.cumsum(groups)) if world.rank < n), None)
        part = world.Split(MPI.UNDEFINED if color is None else color, world.rank)
        if color is not None:
            found[f"{name} {part.size}"] = globals()[name](Ranks(part), folder)
            if part.size == 2:
                found["of 2"] = of(Ranks(part), folder)
        done = world.Ibarrier()
        while not done.Test():
            time.sleep(0.01)  # ranks without work leave the cores to the others
    parts = world.gather(found)
    if world.rank == 0:
        every = {name: value for part in parts for name, value in part.items()}
        (folder / "found.json").write_text(json.dumps(every))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
