"""The time and memory of a step before it runs: from shapes, and a few numbers of the machine."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ..checks import is_one_of
from ..errors import ShapeError, brief
from ..kernels.types import Shape
from ..layers import Layer, metadata
from ..machine import Machine, this_machine
from ..text import four_digits
from ..training.optimizers import OPTIMIZERS
from .cost import kernels
from .cost.counts import Call
from .cost.imagine import imagine
from .cost.step import check_host, input_shape_of

GIB = 1 << 30
MOST_IMAGES = 1 << 20  # a batch up to which `largest_batch` searches


@dataclass(frozen=True)
class Forecast:
    """What a step will take.

    seconds: of a step. memory: bytes of the process at its peak: `parameters` with the state of the
    optimizer, `images`, `pool` (activations, gradients, scratch memory) and `process` (Python and
    the compiled kernels). operations: seconds by operation, longest first.
    """

    model: str
    input: Shape
    batch: int
    train: bool
    optimizer: str
    seconds: float
    parameters: int
    images: int
    pool: int
    process: int
    operations: dict[str, float]

    @property
    def memory(self) -> int:
        """Bytes of the process at its peak."""
        return self.parameters + self.images + self.pool + self.process

    def to_json(self) -> str:
        """Everything as JSON."""
        return json.dumps(asdict(self) | {"memory": self.memory}, indent=2)

    def __str__(self) -> str:
        what = f"training step with {self.optimizer}" if self.train else "inference"
        size = "x".join(map(str, self.input))
        images = "image" if self.batch == 1 else "images"
        return (
            f"{self.model}, {what}, {self.batch} {images} of {size}: "
            f"{four_digits(1e3 * self.seconds)} ms, "
            f"{four_digits(self.batch / self.seconds)} images/s, {self.memory / 2**20:,.0f} MiB"
        )


def forecast(
    model: Layer,
    input_shape: Shape | None = None,
    batch: int = 16,
    train: bool = True,
    optimizer: str = "sgd",
    machine: Machine | None = None,
) -> Forecast:
    """The time and memory of a step of `fit`, or of an inference, without running it.

    The fused network runs on arrays without contents, which gives its operations and its
    allocations. `minicnn.study.cost.kernels` has the time of each operation.
    input_shape: (H, W, C), the model's own if None. optimizer: sgd, adam, adamw or rmsprop.
    machine: the numbers of another machine; None measures this one at the first call.
    Raises ValueError for unknown arguments, ShapeError if the model cannot take the input.
    """
    if not is_one_of(optimizer, OPTIMIZERS):
        expected = ", ".join(OPTIMIZERS)
        raise ValueError(f"optimizer={brief(optimizer)}: expected one of {expected}")
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch={brief(batch)}: expected at least 1 image")
    check_host(model)
    shape = input_shape_of(model, input_shape)
    model.output_shape((batch, *shape))
    speed = machine or this_machine()
    operations: dict[str, float] = defaultdict(float)

    def see(call: Call) -> None:
        operations[call.operation] += kernels.seconds(call, speed)

    memory = imagine(model, batch, shape, train, optimizer, see)
    return Forecast(
        model=metadata(model).name or type(model).__name__,
        input=shape,
        batch=batch,
        train=train,
        optimizer=optimizer,
        seconds=sum(operations.values()),
        parameters=memory.parameters,
        images=memory.images,
        pool=memory.pool,
        process=speed.process,
        operations=dict(sorted(operations.items(), key=lambda item: -item[1])),
    )


def what_if(
    model: Layer,
    batches: Sequence[int] = (),
    inputs: Sequence[Shape] = (),
    train: bool = True,
    optimizer: str = "sgd",
    machine: Machine | None = None,
) -> list[Forecast]:
    """A forecast for every pair of a batch and an input (H, W, C).

    Without batches, 1 to 256 in powers of two; without inputs, the model's own.
    """
    speed = machine or this_machine()
    shapes = list(inputs) or [input_shape_of(model, None)]
    sizes = list(batches) or [1 << i for i in range(9)]
    rest = train, optimizer, speed
    return [forecast(model, shape, batch, *rest) for shape in shapes for batch in sizes]


def largest_batch(
    model: Layer,
    memory: float,
    input_shape: Shape | None = None,
    train: bool = True,
    optimizer: str = "sgd",
    machine: Machine | None = None,
) -> int:
    """The largest batch whose step fits into `memory` bytes; 0 if not even one image does."""
    speed = machine or this_machine()

    def fits(batch: int) -> bool:
        return forecast(model, input_shape, batch, train, optimizer, speed).memory <= memory

    try:
        fit = fits(1)
    except ShapeError:  # in training one image may give batch norm one value, without variance
        fit = fits(2)
    if not fit:
        return 0
    low, high = 1, 2
    while high < MOST_IMAGES and fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 256):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
