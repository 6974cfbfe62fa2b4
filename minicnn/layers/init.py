"""Initial weights: functions `(shape, fan_in, fan_out, generator) -> float32 array`.

fan_in is the number of inputs of one unit, kH * kW * C_in / groups for a convolution; it may be an
array with one value per output map (LeNet-5's C3). fan_out is kH * kW * C_out / groups.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..checks import is_function, is_one_of
from ..errors import brief
from ..kernels.thread_state import ThreadState
from ..rng import generator

Initializer = Callable[[tuple[int, ...], object, object, np.random.Generator], np.ndarray]


class InitState(ThreadState):
    """skip: weights are allocated but not drawn."""

    skip: bool = False


_state = InitState()


def skip_init() -> AbstractContextManager[None]:
    """Within this block, in this thread, new weights are allocated but not drawn.

    For networks whose weights are loaded next, or of which only the shapes are needed.
    """
    return _state.changed(skip=True)


def is_skipped() -> bool:
    """True within `skip_init`."""
    return bool(_state.skip)


def _scaled(draw: Callable, scale: Callable) -> Initializer:
    """Draw numbers with `draw(generator, shape)`, and multiply by `scale(fan_in, fan_out)`."""

    def initialize(
        shape: tuple[int, ...], fan_in: Any, fan_out: Any, generator: np.random.Generator
    ) -> np.ndarray:
        if _state.skip:
            return np.empty(shape, np.float32)
        values = draw(generator, shape)
        values *= np.asarray(scale(fan_in, fan_out), np.float32)
        return values

    return initialize


def uniform(bound: Callable) -> Initializer:
    """U(-a, a) with `a = bound(fan_in, fan_out)`."""

    def draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        values = generator.random(shape, dtype=np.float32)
        values -= 0.5
        return values

    return _scaled(draw, lambda fan_in, fan_out: 2 * bound(fan_in, fan_out))


def normal(std: Callable) -> Initializer:
    """N(0, s^2) with `s = std(fan_in, fan_out)`."""
    return _scaled(lambda generator, shape: generator.standard_normal(shape, dtype=np.float32), std)


def gaussian(std: float) -> Initializer:
    """N(0, std^2): AlexNet's 0.01 (Krizhevsky et al. 2012, section 5)."""
    return normal(lambda fan_in, fan_out: std)


def lecun_uniform() -> Initializer:
    """U(-2.4 / fan_in, 2.4 / fan_in) (LeCun et al. 1998, appendix A)."""
    return uniform(lambda fan_in, fan_out: 2.4 / fan_in)


def torch_default() -> Initializer:
    """U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)): torch's default for weights and biases."""
    return uniform(lambda fan_in, fan_out: np.sqrt(1 / fan_in))


def caffe_xavier() -> Initializer:
    """U(-a, a), a = sqrt(3 / fan_in): Caffe's "xavier" filler, which is not Glorot's."""
    return uniform(lambda fan_in, fan_out: np.sqrt(3 / fan_in))


def glorot_uniform() -> Initializer:
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, equation 16)."""
    return uniform(lambda fan_in, fan_out: np.sqrt(6 / (fan_in + fan_out)))


def he_normal(mode: str = "fan_in") -> Initializer:
    """N(0, 2 / fan) (He et al. 2015a, equations 10 and 14); torchvision's ResNets: "fan_out"."""
    if not is_one_of(mode, ("fan_in", "fan_out")):
        raise ValueError(f"mode={brief(mode)}: expected 'fan_in' or 'fan_out'")
    return normal(lambda fan_in, fan_out: np.sqrt(2 / (fan_in if mode == "fan_in" else fan_out)))


def initial_weight(
    init: Initializer | None, shape: tuple[int, ...], fan_in: Any, fan_out: Any
) -> np.ndarray:
    """The weight that `init` draws, or torch's default if None: float32, of `shape`.

    Raises ValueError for an `init` that is no initializer.
    """
    if init is not None and not is_function(init, 4):
        raise ValueError(
            f"init={brief(init)}: expected a function (shape, fan_in, fan_out, generator), "
            "such as layers.init.he_normal()"
        )
    drawn = np.asarray((init or torch_default())(shape, fan_in, fan_out, generator()), np.float32)
    if drawn.shape != shape:
        raise ValueError(f"init={brief(init)}: it drew the shape {drawn.shape}; expected {shape}")
    return drawn


def constant(value: float) -> Initializer:
    """The same value everywhere: right for biases; weights must differ to break symmetry."""
    return lambda shape, fan_in, fan_out, generator: np.full(shape, value, np.float32)


def dirac(others: Initializer | None = None) -> Initializer:
    """The first C_in filters of a convolution copy their channel; `others` draws the remaining.

    In filter i, i < C_in, the weight of channel i at the center of the kernel is 1 and all others
    are 0 (torch's `dirac_`). `others` is torch's default if None.
    """
    draw = others or torch_default()

    def initialize(
        shape: tuple[int, ...], fan_in: Any, fan_out: Any, generator: np.random.Generator
    ) -> np.ndarray:
        if len(shape) != 4:
            raise ValueError(f"dirac: weights of shape {shape}: expected those of a convolution")
        weights = draw(shape, fan_in, fan_out, generator)
        height, width, channels, filters = shape
        copied = np.arange(min(channels, filters))
        weights[..., copied] = 0
        weights[height // 2, width // 2, copied, copied] = 1
        return weights

    return initialize
