"""The fastest plan of each product of a network's training step, measured.

The plans are measured in place: while a step runs, each product is computed in all ways that the
model of plan.py does not find far too slow. Its operands may be in the cache.
"""

import json
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from minicnn import registry
from minicnn.device import runtime
from minicnn.files import replacing
from minicnn.kernels.cuda import conv, plan_file
from minicnn.kernels.cuda import plan as plans
from minicnn.kernels.cuda.plan import Card, Plan

from .parts import Task
from .steps import STEPS, TINY_STEPS, training_step

AFFORDABLE = 2.0  # ways that the model finds more times as slow as the fastest are left out
NETWORKS = 6  # that are swept by default
REPEATS, LAUNCHES = 3, 4  # of which the median counts

Networks = Sequence[tuple[str, int]]  # names and images per batch


def checked(texts: Sequence[str] | None, path: Path | None) -> Networks | None:
    """The networks of --sweep, or None without it; `path` is that of --plans.

    Raises ValueError with one sentence for arguments that cannot be used.
    """
    if texts is None and path is not None:
        raise ValueError(f"--plans {path}: it is the file that --sweep writes; there is no --sweep")
    if path is not None and path.is_dir():
        raise ValueError(f"--plans {path}: it is a folder; expected a file")
    return None if texts is None else networks(texts)


def networks(texts: Sequence[str]) -> Networks:
    """`resnet50:64` as ("resnet50", 64); without a number, the batch of the other measurements.

    Raises ValueError with one sentence for an unknown network or a batch that is no number.
    """
    found = []
    for text in texts:
        name, _, batch = text.partition(":")
        if name not in registry.names():
            raise ValueError(f"--sweep {text}: there is no network {name!r}; see minicnn list")
        batch = batch or str(STEPS.get(name, (128, 0))[0])
        if not batch.isdecimal() or int(batch) < 1:
            raise ValueError(f"--sweep {text}: {batch!r} is no number of images per batch")
        found.append((name, int(batch)))
    return found


def tasks(chosen: Networks, precision: str, tiny: bool) -> Iterator[Task]:
    """A task per network; without a choice the first of those whose steps are measured."""
    steps = TINY_STEPS if tiny else STEPS
    default = [(name, images) for name, (images, _) in steps.items()][:NETWORKS]
    for name, batch in chosen or default:
        yield f"{name}, batch {batch}", partial(_sweep, name, batch, precision)


def _sweep(name: str, batch: int, precision: str) -> Iterator[dict]:
    model = registry.create(name)
    classes = model.output_shape((1, *model.input_shape))[-1]
    step, _ = training_step(name, batch, STEPS.get(name, (0, classes))[1], precision)
    yield from measured(lambda: step(0))


def measured(work: Callable[[], Any]) -> list[dict[str, Any]]:
    """Run `work`, and measure each product that it computes; one line per product."""
    lines: dict[plan_file.Key, dict[str, Any]] = {}
    with mock.patch.object(conv, "run_product", partial(_fastest, conv.run_product, lines)):
        work()
    return list(lines.values())


def _fastest(run_product: Callable, lines: dict, *arguments: Any, **options: Any) -> None:
    """Compute a product; the first time, in all affordable ways."""
    asked: list[tuple] = []

    def compute(way: Plan | None = None, _: int = 0) -> None:
        def plan(*product: Any) -> Plan:
            asked.append(product)
            if way is not None and way.precision == product[5]:
                return way
            return plan_file.plan(*product)

        with mock.patch(f"{run_product.__module__}.plan", plan):
            run_product(*arguments, **options)

    compute()
    *key, card = asked[-1]
    if tuple(key) not in lines:
        lines[tuple(key)] = _line(tuple(key), card, compute)


def _line(key: plan_file.Key, card: Card, compute: Callable) -> dict[str, Any]:
    estimated, ways = plans.plan(*key, card), plans.ways(*key, card)
    limit = AFFORDABLE * min(way.cycles for way in ways)
    tried = [estimated, *(w for w in ways if w.cycles <= limit and w != estimated)]
    seconds = {
        way: statistics.median(runtime().times(partial(compute, way), REPEATS, LAUNCHES))
        for way in tried
    }
    best = min(seconds, key=lambda way: seconds[way])
    kernel, m, n, k, groups, precision = key
    return {
        "kind": "plan",
        "kernel": kernel,
        **dict(zip(plan_file.SIZES, (m, n, k, groups), strict=True)),
        "precision": precision,
        "tile": [best.tile.m, best.tile.n],
        "splits": best.splits,
        "microseconds": round(1e6 * seconds[best], 3),
        "estimated": {
            "tile": [estimated.tile.m, estimated.tile.n],
            "splits": estimated.splits,
            "microseconds": round(1e6 * seconds[estimated], 3),
        },
    }


def write(lines: Sequence[dict], path: Path | None) -> str:
    """Add the plans among the lines to the file, by default that of this card; what was done.

    Plans of the same card and kernels that are in the file stay; other files are replaced.
    """
    run = runtime()
    gpu = plan_file.gpu_name(run)
    card = Card(run.processors, run.shared_memory, run.shared_memory_of_processor)
    path = path or plan_file.plan_path(gpu)
    measured = [line for line in lines if line["kind"] == "plan"]
    if path is None:
        return "MINICNN_PLANS is empty: no plan is written"
    if not measured:
        return "no plan was measured"
    try:
        known = plan_file.read(path, gpu, card)
    except ValueError:  # of another card, of other kernels, or damaged
        known = []
    entries = {plan_file.key_of(entry): entry for entry in known}
    names = "kernel", *plan_file.SIZES, "precision", "tile", "splits", "microseconds"
    entries |= {plan_file.key_of(line): {name: line[name] for name in names} for line in measured}
    found = plan_file.head(gpu, card) | {"plans": list(entries.values())}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(found, indent=1).encode())
    except OSError as error:
        return f"the plans cannot be written: {error}"
    return f"{path}: {len(entries)} plans. {_gain(measured)}"


def _gain(lines: Sequence[dict]) -> str:
    """How much faster the measured plans are than the model's."""
    ratios = [line["estimated"]["microseconds"] / line["microseconds"] for line in lines]
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    right = sum(
        all(line["estimated"][name] == line[name] for name in ("tile", "splits")) for line in lines
    )
    return (
        f"Of {len(lines)} products the estimated plan was the fastest for {right}; its time over "
        f"that of the fastest: {mean:.3f} (geometric mean), at most {max(ratios):.2f}"
    )
