"""Trainings on emulated GPUs, for one process and for several."""

import json
import sys
from pathlib import Path

from minicnn import training
from minicnn.distributed import Launch, accumulation
from minicnn.distributed.agreement import checksum
from minicnn.distributed.faults import end_all_after_errors
from minicnn.distributed.team import Ranks, Team
from minicnn.training import fitting

from .. import emulator
from ..cuda.test_training import IMAGES, LABELS, network

IMAGES, LABELS = IMAGES[:30], LABELS[:30]  # updates of 12, 12 and 6


def train(team, **options):
    """The checksum of the trained network's weights, and the losses."""
    fitting.join = lambda: team
    accumulation.bucket_size = lambda *sizes: 300
    model = network().to("cuda")
    settings = {"epochs": 1, "batch_size": 12, "lr": 0.05, "momentum": 0.9, "optimizer": "sgd"}
    options = settings | {"progress": False, "distributed": True} | options
    history = training.fit(model, (IMAGES, LABELS), **options)
    return {"weights": checksum(model), "losses": history.column("train_loss")}


def main(folder):
    """Under mpirun."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    end_all_after_errors(Launch(world.rank, world.size))
    emulator.install(emulator.Emulator().connect(world))
    team = Ranks(world)
    found = {
        "four shards": train(team, batch_size=3, accumulate=4),
        "sync": train(team, sync_bn=True),
        "sent": [team.bytes_sent, team.messages],
    }
    assert team.gather(found) == [found] * team.size
    if team.is_first:
        (folder / "found.json").write_text(json.dumps(found))


def alone(**options):
    """One process."""
    return train(Team(), **options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
