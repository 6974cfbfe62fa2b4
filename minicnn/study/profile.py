"""Where a step's time and memory go, layer by layer and operation by operation, measured."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from ..checks import checked_whole
from ..kernels.cpu.engine.machine import bandwidth, peak_flops
from ..kernels.dispatch import get_num_threads
from ..kernels.types import Shape
from ..layers import Layer, metadata
from ..text import four_digits
from .cost.counts import Work
from .cost.rows import ROWS, ProfileRow, folded
from .cost.step import LOSS, UPDATE, Step, borrowed, check_host, input_shape_of, make_step
from .cost.watch import BACKWARD, FORWARD, Counter, Timer

PARTS = (FORWARD, BACKWARD)
WARM_UP, LEAST_SECONDS, MOST_STEPS = 2, 0.5, 50
BUSY = 1.5  # slowest over fastest step from which on the times are doubtful


@dataclass(frozen=True)
class Profile:
    """The rows of a step in the order of the forward, then the loss, the update and the rest.

    fused: True if the network that `fit` runs was measured, False for the layers one by one.
    operations: seconds by operation, longest first.
    step, fused_step: seconds of a step without hooks, of the measured network and of the fused one.
    fastest, slowest: seconds of the fastest and the slowest of the former.
    """

    model: str
    input: Shape
    batch: int
    train: bool
    fused: bool
    threads: int
    peak_flops: float
    bandwidth: float
    rows: list[ProfileRow]
    operations: dict[str, float]
    step: float
    fused_step: float
    fastest: float
    slowest: float

    @property
    def seconds(self) -> float:
        """The sum of all rows: a step with hooks."""
        return sum(row.seconds for row in self.rows)

    @property
    def held(self) -> int:
        """Bytes that are kept for backward."""
        return sum(row.held for row in self.rows)

    @property
    def title(self) -> str:
        """What was measured."""
        what = "training step" if self.train else "inference"
        kind = "fused, as fit runs it" if self.fused else "layer by layer"
        images = "image" if self.batch == 1 else "images"
        size = "x".join(map(str, self.input))
        return f"{self.model}, {what}, {self.batch} {images} of {size}, {kind}"

    def folded(self, most: int = ROWS) -> list[ProfileRow]:
        """At most about `most` rows: if there are more, the layers of a block are one row."""
        return folded(self.rows, most)

    def footer(self) -> str:
        """The sum beside steps without hooks."""
        ms = [f"{four_digits(1e3 * s)} ms" for s in (self.seconds, self.step, self.fused_step)]
        overhead = self.seconds / self.step - 1
        text = f"sum of the rows {ms[0]}; a step without hooks {ms[1]} ({overhead:+.1%})"
        if not self.fused:
            text += f"; the fused network of fit {ms[2]}"
        if self.slowest > BUSY * self.fastest:
            range = f"{four_digits(1e3 * self.fastest)} to {four_digits(1e3 * self.slowest)} ms"
            text += f". The machine is busy or its speed varies: equal steps took {range}"
        return (
            f"{text}. Floor: {self.peak_flops / 1e9:,.0f} GFLOP/s and "
            f"{self.bandwidth / 1e9:,.1f} GB/s, measured with {_threads(self.threads)}"
        )

    def picture(self, path: Any = None, rows: int = ROWS) -> Any:
        """Draw bars to the file at `path`; without it, return the matplotlib Figure."""
        from .profile_plot import bars

        return bars(self, path, rows)

    def to_json(self) -> str:
        """All rows, unfolded, and the totals as JSON."""
        return json.dumps(asdict(self) | {"seconds": self.seconds, "held": self.held}, indent=2)


def profile(
    model: Layer,
    input_shape: Shape | None = None,
    batch: int = 16,
    train: bool = True,
    fused: bool = False,
    steps: int = 5,
) -> Profile:
    """Measure a step of `model` on `batch` random images, by layer and by operation.

    input_shape: (H, W, C), the model's own if None. train: False for an inference.
    fused: measure the network that `fit` runs, where some rows are several layers.
    steps: the least number of measured steps; each time is a median.
    The model keeps its weights, buffers and gradients. Nothing else should run meanwhile.
    Raises ValueError if no input shape is known, ShapeError if the model cannot take it.
    """
    steps = checked_whole("steps", steps)
    check_host(model)
    shape = input_shape_of(model, input_shape)
    model.output_shape((batch, *shape))
    peak, bytes_per_second = peak_flops(), bandwidth()

    def floor(work: Work) -> float:
        return max(work.flops / peak, work.bytes / bytes_per_second)

    with borrowed(model):
        step = make_step(model, batch, shape, fused)
        counter = Counter(step.network, floor)
        with counter.watching():
            step.prepare(train)(counter.begin)
        timers, plain = _measured(step.prepare(train), steps)
        rows = _rows(step, counter, timers)
        seconds = fused_seconds = _median(plain)
        if not fused:
            del step.x  # before the next one is made
            other = make_step(model, batch, shape, fused=True)
            fused_seconds = _unobserved(other.prepare(train), steps)
    names = timers[0].operations
    operations = {name: _median(t.operations[name] for t in timers) for name in names}
    return Profile(
        model=metadata(model).name or type(model).__name__,
        input=shape,
        batch=batch,
        train=train,
        fused=fused,
        threads=get_num_threads(),
        peak_flops=peak,
        bandwidth=bytes_per_second,
        rows=rows,
        operations=dict(sorted(operations.items(), key=lambda item: -item[1])),
        step=seconds,
        fused_step=fused_seconds,
        fastest=min(plain),
        slowest=max(plain),
    )


def _measured(run: Callable[..., None], steps: int) -> tuple[list[Timer], list[float]]:
    """Timers of observed steps, and the seconds of unobserved ones, in turn."""
    timers: list[Timer] = []
    plain: list[float] = []
    for _ in range(WARM_UP):
        run()
    while len(plain) < steps or (sum(plain) < LEAST_SECONDS and len(plain) < MOST_STEPS):
        plain.append(_seconds(run))
        timer = Timer()
        with timer.watching():
            run(timer.begin)
        timers.append(timer)
    return timers, plain


def _unobserved(run: Callable[..., None], steps: int) -> float:
    for _ in range(WARM_UP):
        run()
    return _median(_seconds(run) for _ in range(steps))


def _seconds(run: Callable[..., None]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def _median(values: Any) -> float:
    return statistics.median(values)


def _rows(step: Step, counter: Counter, timers: list[Timer]) -> list[ProfileRow]:
    """A row for each layer that computes or has no layers inside, then for the rest."""
    names = {id(layer): name for name, layer in step.network.named_layers()}
    own = {
        id(layer): layer
        for layer in counter.order
        if not any(layer.children()) or counter.work.keys() & {(p, id(layer)) for p in PARTS}
    }
    own.pop(id(step.network), None)
    held = _held_by(step.network, counter.held, set(own))

    def row(name: str, kind: str, forward: Any, backward: Any, keep: int) -> ProfileRow:
        seconds = [_median(t.seconds[key] for t in timers) for key in (forward, backward)]
        work = [counter.work[key] for key in (forward, backward)]
        return ProfileRow(
            name=name,
            layer=kind,
            forward=seconds[0],
            backward=seconds[1],
            forward_floor=counter.floors[forward],
            backward_floor=counter.floors[backward],
            flops=sum(w.flops for w in work),
            bytes=sum(w.bytes for w in work),
            held=keep,
        )

    rows = [
        row(names[key], type(layer).__name__, (FORWARD, key), (BACKWARD, key), held.get(key, 0))
        for key, layer in own.items()
    ]
    if counter.part != FORWARD:
        rows += [row(LOSS, "", (LOSS, 0), ("", 0), 0), row(UPDATE, "", ("", 0), (UPDATE, 0), 0)]
    forward, backward = (
        _median(_outside(timer, part, set(own)) for timer in timers) for part in PARTS
    )
    rows.append(ProfileRow("rest", "", forward, backward, 0.0, 0.0, 0, 0, held.get(0, 0)))
    return rows


def _outside(timer: Timer, part: str, rows: set[int]) -> float:
    """The seconds of layers that have no row: of containers that compute nothing themselves."""
    return sum(s for (p, key), s in timer.seconds.items() if p == part and key and key not in rows)


def _held_by(network: Layer, held: dict[int, int], rows: set[int]) -> dict[int, int]:
    """The bytes held by each row: its own, and those of the layers inside that have no row."""
    found: dict[int, int] = {}

    def add(layer: Layer, row: int) -> None:
        row = id(layer) if id(layer) in rows else row
        found[row] = found.get(row, 0) + held.get(id(layer), 0)
        for _, child in layer.children():
            add(child, row)

    add(network, 0)
    return found


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"
