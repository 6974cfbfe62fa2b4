"""Training steps on the CPU: recorded once per kind of batch, and repeated without Python."""

from collections.abc import Callable
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import rng
from ..kernels.cpu.engine.memory import empty
from ..kernels.cpu.engine.recording import Recording, give_up
from ..kernels.cpu.engine.threads import threads
from ..kernels.dispatch import intercept
from ..kernels.thread_state import settings, state
from ..kernels.types import Array
from ..layers import Layer
from ..layers.hooks import is_observed
from .known import is_own
from .loop import forward_backward

if TYPE_CHECKING:
    from .trainer import Trainer

MOST_BYTES = 1 << 26  # of the arrays of a pass; the kernels of larger ones outlast their Python
METHODS = {"forward", "backward"}  # a layer may have others than its class
MOST = 4  # kinds of batches that are recorded


class RecordedStep:
    """`loop.forward_backward` with a network that is `Recorded` anew in each epoch.

    It is not, if other code than minicnn's runs within a step, or between the steps of an epoch.
    """

    def __init__(self) -> None:
        self._network: Layer | None = None
        self._recorded: Layer | Recorded | None = None

    def __call__(self, run: "Trainer", x: np.ndarray, labels: np.ndarray) -> None:
        if run.network is not self._network or run.weights_changed:
            self._network, run.weights_changed = run.network, False
            layers = [layer for _, layer in run.network.named_layers()]
            is_replaced = any(METHODS & vars(layer).keys() for layer in layers)
            is_fixed = is_own(*layers) and run.only_the_optimizer_changes_weights
            can_record = is_fixed and not is_replaced
            self._recorded = Recorded(run.network) if can_record else run.network
        forward_backward(run, x, labels, self._recorded)


class Recorded:
    """A network whose passes only launch kernels after a while: `y = f(x)`, then `f.backward(dy)`.

    Of each kind of batch the first runs the network, the second also records the kernels, and the
    third runs the network and the kernels, and compares: outputs, gradients and running statistics.
    If any bit differs, since a layer draws random numbers or computes with NumPy, or if the arrays
    take more than `MOST_BYTES`, the network is run always. Else the kernels alone are, from then
    on: attributes of layers may not change.
    Within `observe` and `dispatch.intercept` the network is run, because kernels call nothing.
    """

    def __init__(self, network: Layer) -> None:
        self.network = network
        self._layers = [layer for _, layer in network.named_layers()]
        self._passes: dict[tuple, _Passes] = {}
        self._latest: _Passes | None = None  # that of the latest forward; None: of the network

    def __call__(self, x: Array) -> Any:
        self._latest = self._passes_of(x)
        return self.network(x) if self._latest is None else self._latest.forward(x)

    def backward(self, dy: Any, need_dx: bool = False) -> None:
        """Add the gradients of the parameters. There is no dx: `need_dx` must be False."""
        assert not need_dx
        if self._latest is None:
            self.network.backward(dy, need_dx=False)
        else:
            self._latest.backward(dy)

    def _passes_of(self, x: Array) -> "_Passes | None":
        is_watched = is_observed() or state.intercept is not None
        if is_watched or not state.grad_enabled or x.dtype != np.float32:
            return None
        modes = tuple(layer.training for layer in self._layers)
        kind = x.shape, x.dtype, threads(), settings(), modes
        passes = self._passes.get(kind)
        if passes is None:
            if len(self._passes) == MOST:
                return None
            passes = self._passes[kind] = _Passes(self.network)
        if passes.phase is not _Phase.FAILED and not passes.has_the_same_arrays():
            passes = self._passes[kind] = _Passes(self.network)
        return passes


class _Phase(Enum):
    RUN = auto()  # the network
    RECORD = auto()
    COMPARE = auto()
    REPEAT = auto()  # only the kernels
    FAILED = auto()  # the network, always


class _Passes:
    """Forward and backward of one kind of batch."""

    def __init__(self, network: Layer) -> None:
        self.phase = _Phase.RUN
        self._network, self._parameters = network, network.parameters()
        self._buffers = [array for _, array in network.named_buffers()]
        self._values = [parameter.value for parameter in self._parameters]
        self._gradients: list[Array | None]
        self._clear()

    def has_the_same_arrays(self) -> bool:
        """True if the parameters still have the arrays that the kernels read."""
        pairs = zip(self._parameters, self._values, strict=True)
        return all(parameter.value is value for parameter, value in pairs)

    def forward(self, x: Array) -> Any:
        """The outputs."""
        if self.phase is _Phase.REPEAT:
            return self._repeat_forward(x)
        if self.phase is _Phase.RECORD:
            self._x = _copy(x)
            y, self._forward = _recorded(lambda: self._network(self._x))
            if not self._forward.is_complete or not isinstance(y, np.ndarray):
                self._fail()
                return y
            self._y = y
            return _copy(y)
        if self.phase is not _Phase.COMPARE:
            return self._network(x)
        before = [buffer.copy() for buffer in self._buffers]
        y = self._network(x)
        after = [buffer.copy() for buffer in self._buffers]
        self._restore(before)
        self._y.fill(np.nan)  # an array that no kernel writes
        if not _are_equal([self._repeat_forward(x), *self._buffers], [y, *after]):
            self._fail()
            self._restore(after)
        return y

    def backward(self, dy: Array) -> None:
        """Add the gradients of the parameters, after `forward`."""
        has_gradients = any(parameter._grad is not None for parameter in self._parameters)
        if self.phase is _Phase.REPEAT:
            self._repeat_backward(dy)
            for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
                if gradient is not None:
                    parameter.add_grad(_copy(gradient), copy=False)
        elif self.phase is _Phase.RUN:
            self._network.backward(dy, need_dx=False)
            self.phase = _Phase.RECORD
        elif self.phase is _Phase.FAILED or has_gradients:
            self._network.backward(dy, need_dx=False)
            self._fail()
        elif self.phase is _Phase.RECORD:
            self._dy = _copy(dy)
            _, self._backward = _recorded(lambda: self._network.backward(self._dy, need_dx=False))
            self._gradients = self._take_gradients()
            self.phase = _Phase.COMPARE
            if not self._backward.is_complete:
                self._fail()
        else:
            self._network.backward(dy, need_dx=False)
            for gradient in self._gradients:
                if gradient is not None:
                    gradient.fill(np.nan)
            self._repeat_backward(dy)
            found = [parameter._grad for parameter in self._parameters]
            self.phase = _Phase.REPEAT
            if not _are_equal(self._gradients, found):
                self._fail()

    def _repeat_forward(self, x: Array) -> Array:
        np.copyto(self._x, x)
        self._forward.repeat()
        return _copy(self._y)

    def _repeat_backward(self, dy: Array) -> None:
        np.copyto(self._dy, dy)
        self._backward.repeat()

    def _take_gradients(self) -> list[Array | None]:
        """The gradients that the kernels write to; the parameters get copies of them."""
        found = [parameter._grad for parameter in self._parameters]
        for parameter in self._parameters:
            if parameter._grad is not None:
                parameter._grad = _copy(parameter._grad)
        return found

    def _restore(self, arrays: list[Array]) -> None:
        for buffer, array in zip(self._buffers, arrays, strict=True):
            buffer[...] = array

    def _clear(self) -> None:
        """Without recordings, and the arrays that they keep."""
        self._forward = self._backward = Recording(MOST_BYTES)
        self._x, self._y, self._dy = (np.empty(0, np.float32),) * 3
        self._gradients = []

    def _fail(self) -> None:
        """Run the network from now on."""
        self.phase = _Phase.FAILED
        self._clear()


def _recorded(call: Callable[[], Any]) -> tuple[Any, Recording]:
    """What the call returns, and the kernels that it launches.

    These are not complete if a layer draws a random number, or computes an operation with NumPy.
    """
    recording, drawn = Recording(MOST_BYTES), rng.state()
    with recording.of_this_thread(), intercept(_only_kernels):
        result = call()
        if rng.state() != drawn:
            give_up()
    return result, recording


def _only_kernels(operation: Callable, chosen: Callable) -> Callable:
    """What computes an operation; see `intercept`."""
    if chosen is operation:
        give_up()
    return chosen


def _copy(array: Array) -> Array:
    """A copy whose memory is taken from the pool."""
    copy = empty(array.shape, array.dtype.type)
    np.copyto(copy, array)
    return copy


def _are_equal(arrays: list[Any], others: list[Any]) -> bool:
    """True if the arrays, or None, are equal to the bit."""
    return all(
        a is b is None if a is None or b is None else a.tobytes() == b.tobytes()
        for a, b in zip(arrays, others, strict=True)
    )
