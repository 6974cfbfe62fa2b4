"""Several processes: the time of a step, the share of communication that is hidden, and a model.

    python benchmarks/distributed.py [NETWORK ...] [--ranks 2 4] [--publish]

One step of each network by 1 process and by several, with the cores divided among them: without
communication, with communication after backward, and with communication during backward.

On one machine the cores that compute also move the bytes, so little can be hidden. Therefore the
steps are also measured with an emulated link of 10 Gb/s, whose messages are complete when such a
link would have brought them, and cost no more of the processor.

A model of messages (`distributed_model.py`) is fitted to messages of 1 KB to 16 MB, checked against
the measured steps, and predicts clusters. Needs mpi4py and mpirun. Writes distributed.{json,md}.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import common
import distributed_model as model
import numpy as np

BATCHES = {"lenet5": 256, "resnet20_cifar": 64, "vgg16": 4}  # of all processes together
STEPS = {"lenet5": 40, "resnet20_cifar": 10, "vgg16": 2}
LARGE = ("vgg16",)  # only where each process has a core: it needs 3 GB per process
SIZES = [4**k for k in range(5, 13)]  # bytes of a message: 1 KB to 16 MB
MODES = ("alone", "after", "during")


def main():
    parser = common.parser(__doc__)
    parser.add_argument("networks", nargs="*", default=list(BATCHES))
    parser.add_argument("--ranks", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return work(options.networks)
    runs = {n: start(n, options) for n in (1, *options.ranks)}
    rows, lines = [], []
    for n in options.ranks:
        latency, seconds_per_byte = model.fitted(runs[n]["messages"])
        lines.append((n, latency, seconds_per_byte))
        for name in chosen(n, options):
            row = compared(name, n, runs, (latency, 1 / seconds_per_byte))
            # With fewer cores than processes, these wait for turns, which the model does not have.
            rows.append(row if n <= options.threads else row | {"model": None})
    links = [emulated(name, runs[2][name]) for name in chosen(2, options)] if 2 in runs else []
    tables = steps_table(rows), messages_table(lines), links_table(links), model.predictions()
    text = "\n\n".join(tables)
    results = {
        "steps": rows,
        "link": links,
        "messages": {n: run["messages"] for n, run in runs.items()},
    }
    common.report("distributed", text, options, results)
    return 0


def chosen(ranks: int, options: argparse.Namespace) -> list[str]:
    """The networks that so many processes train."""
    return [n for n in options.networks if n not in LARGE or ranks <= options.threads]


def start(ranks: int, options: argparse.Namespace) -> dict:
    """The results of `ranks` processes, each with its share of the threads."""
    beside = Path(sys.executable).with_name("mpirun")
    mpirun = str(beside) if beside.exists() else shutil.which("mpirun")
    if mpirun is None:
        sys.exit("distributed.py: there is no mpirun: pip install mpich")
    threads = str(max(1, options.threads // ranks))
    command = [mpirun, "-n", str(ranks), sys.executable, __file__, "--worker"]
    command += chosen(ranks, options)
    limits = {"NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    done = subprocess.run(
        command, env=os.environ | limits, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def work(networks: list[str]) -> int:
    """What each process does; rank 0 prints the results."""
    from mpi4py import MPI

    from minicnn.distributed.team import Ranks

    team = linked(Ranks)(MPI.COMM_WORLD)
    found = {"messages": messages(team) if team.size > 1 else []}
    for name in networks:
        found[name] = network_steps(name, team, STEPS.get(name, 5))
    if team.is_first:
        print(json.dumps(found))
    return 0


def linked(ranks: type) -> type:
    """Ranks whose requests may be complete only when an emulated link has brought the bytes."""

    class Request:
        def __init__(self, request, ready: float):
            self.request, self.ready = request, ready

        def Test(self) -> bool:  # noqa: N802
            return time.perf_counter() >= self.ready and self.request.Test()

        def Wait(self) -> None:  # noqa: N802
            time.sleep(max(0.0, self.ready - time.perf_counter()))
            self.request.Wait()

    class Linked(ranks):
        link: tuple[float, float] | None = None  # latency in seconds, bytes per second
        free = 0.0  # when the link has brought all that was sent so far

        def start_exchange(self, send, receive):
            return self._late(super().start_exchange(send, receive), receive.nbytes)

        def start_gather(self, part, whole):
            return self._late(super().start_gather(part, whole), whole.nbytes)

        def _late(self, request, nbytes: int):
            if self.link is None:
                return request
            latency, bandwidth = self.link
            seconds = (self.size - 1) * (latency + nbytes / self.size / bandwidth)
            self.free = max(self.free, time.perf_counter()) + seconds
            return Request(request, self.free)

    return Linked


def messages(team) -> list[list[float]]:
    """`[bytes, seconds]` of the sums of a bucket: copying, exchange, addition, gathering."""
    from minicnn.distributed.buckets import Bucket

    found = []
    for size in SIZES:
        gradient, times = np.ones(size // 4, np.float32), list[float]()
        bucket = Bucket(team, [len(gradient)], gradient.dtype)
        for _ in range(12):
            team.communicator.Barrier()
            begin = time.perf_counter()
            bucket.put(0, gradient, 0.5)
            bucket.start(range(team.size), 1.0)
            bucket.add_up()
            bucket.wait()
            times.append(time.perf_counter() - begin)
        found.append([size, max(team.gather(statistics.median(times[2:])))])
    return found


def network_steps(name: str, team, steps: int) -> dict:
    """Seconds per step in each mode, and what is sent per step."""
    step, accumulator = prepared(name, team)
    times: dict[str, list[float]] = {}
    sent = 0, 0
    links = [("", None)] + [("link ", model.NETWORKS["10 Gb/s"])] * (team.size == 2)
    for turn in range(steps + 1):  # the first one compiles
        for (prefix, link), mode in itertools.product(links, MODES if team.size > 1 else MODES[:1]):
            team.communicator.Barrier()
            team.link = link
            if team.is_first:
                print(f"  {name}, {team.size} processes: {turn} {prefix}{mode}", file=sys.stderr)
            before, begin = (team.bytes_sent, team.messages), time.perf_counter()
            step(mode)
            times.setdefault(prefix + mode, [])
            times[prefix + mode] += [time.perf_counter() - begin] if turn else []
            if mode == "during":
                sent = team.bytes_sent - before[0], team.messages - before[1]
    medians = {m: max(team.gather(statistics.median(t))) for m, t in times.items() if t}
    sizes = [int(b.ends[-1]) * b.dtype.itemsize for b in accumulator._buckets]
    return {"seconds": medians, "bytes": sent[0], "sends": sent[1], "buckets": sizes}


def prepared(name: str, team):
    """A function `step(mode)` on random images, and what sums its gradients."""
    from minicnn import models, training
    from minicnn.data.shards import Shards
    from minicnn.distributed.accumulation import SharedAccumulator
    from minicnn.layers import fuse

    net = models.create(name, seed=0)
    network, loss = fuse(net).train(), training.SoftmaxCrossEntropy()
    rule = training.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    batch = BATCHES.get(name, 8)
    shards = Shards(batch, team.size, team.rank, team.size)
    turn = next(shards.turns(0, batch))
    loader = SimpleNamespace(shards=shards, turn=turn)
    accumulator = SharedAccumulator(net, rule.parameters, loader, team)
    first, last = turn.own(team.rank)
    x = np.random.default_rng(0).standard_normal((last - first, *net.input_shape), np.float32)
    labels = np.arange(last - first) % 10

    def step(mode: str) -> None:
        accumulator.overlap = mode == "during"
        with accumulator.shard(0) if mode != "alone" else nullcontext(), accumulator.watched():
            _, gradient = loss(network(x), labels)
            rule.zero_grad()
            network.backward(gradient, need_dx=False)
        if mode != "alone":
            accumulator.add(len(x))
        rule.step()

    return step, accumulator


def compared(name: str, n: int, runs: dict, constants: tuple[float, float]) -> dict:
    """A row: measured steps, the share that is hidden, and what the model says."""
    run, alone = runs[n][name], runs[1][name]["seconds"]["alone"]
    seconds = run["seconds"]
    latency, bandwidth = constants
    communication = sum(latency + size / bandwidth for size in run["buckets"])
    shown, all_of_it = seconds["during"] - seconds["alone"], seconds["after"] - seconds["alone"]
    return {
        "network": name,
        "ranks": n,
        "batch": BATCHES.get(name, 8),
        "one": alone,
        **seconds,
        "hidden": 1 - shown / all_of_it if all_of_it > 0 else None,
        "model": seconds["alone"] + communication,
        "bytes": run["bytes"],
        "sends": run["sends"],
    }


def emulated(name: str, run: dict) -> dict:
    """A row: steps of two processes with the emulated link, and what the model says."""
    seconds, link = run["seconds"], model.NETWORKS["10 Gb/s"]
    alone, after, during = (seconds[f"link {mode}"] for mode in MODES)
    added = seconds["during"] - seconds["alone"]  # what the processor does for messages
    said = [
        model.step(model.buckets_of(name, 2), alone, 2, *link, overlap=o) + added
        for o in (False, True)
    ]
    hidden = (after - during) / (after - alone)
    return {
        "network": name,
        "alone": alone,
        "after": after,
        "during": during,
        "hidden": hidden,
        "model after": said[0],
        "model during": said[1],
    }


def links_table(rows: list[dict]) -> str:
    """Milliseconds per step."""
    lines = [
        "| 10 Gb/s emulated, 2 processes | computation | exchange after backward | model "
        "| during backward | model | hidden |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        cells = [f"{1e3 * r['alone']:.1f}"]
        for mode in ("after", "during"):
            said, measured = r[f"model {mode}"], r[mode]
            cells += [f"{1e3 * measured:.1f}", f"{1e3 * said:.1f} ({said / measured - 1:+.0%})"]
        lines.append(f"| {r['network']} | {' | '.join(cells)} | {r['hidden']:.0%} |")
    return "\n".join(lines)


def steps_table(rows: list[dict]) -> str:
    """Milliseconds per step."""
    lines = [
        "| network, batch | processes | one process | computation | exchange after backward "
        "| model | during backward | hidden | MB sent | messages |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for r in rows:
        times = [r["one"], r["alone"], r["after"], r["during"]]
        one, alone, after, during = (f"{1e3 * t:.1f}" for t in times)
        said = r["model"]
        error = "none" if said is None else f"{1e3 * said:.1f} ({said / r['after'] - 1:+.0%})"
        hidden = "" if r["hidden"] is None else f"{r['hidden']:.0%}"
        lines.append(
            f"| {r['network']}, {r['batch']} | {r['ranks']} | {one} | {alone} | {after} | {error} "
            f"| {during} | {hidden} | {r['bytes'] / 1e6:.2f} | {r['sends']} |"
        )
    return "\n".join(lines)


def messages_table(lines: list[tuple[int, float, float]]) -> str:
    """The fitted constants."""
    rows = ["| processes | latency of a bucket | bandwidth of a bucket |", "|---|---:|---:|"]
    for n, latency, seconds_per_byte in lines:
        rows.append(f"| {n} | {1e6 * latency:.0f} µs | {1e-9 / seconds_per_byte:.2f} GB/s |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
