"""Climb the ladder of convolutions: check each rung against the reference, and measure it."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..kernels import ladder, reference
from ..kernels.cpu.engine.machine import peak_flops
from ..kernels.types import Array

PASSES = ("forward", "grad_input", "grad_weight")
# Seconds before a rung is measured. After a product, the threads of NumPy's BLAS library spin for a
# while on the cores that are to be measured.
PAUSE = 0.6
LEAST = 0.2  # seconds of calls of which a time is the median

Progress = Callable[[str], None]


class Problem(NamedTuple):
    """A stride-1 convolution with padding that keeps the size of the images."""

    batch: int = 4
    size: int = 28
    channels: int = 128
    filters: int = 128
    kernel: int = 3

    @property
    def flops(self) -> int:
        """Of the plain sum, for one pass."""
        return 2 * self.batch * self.size**2 * self.kernel**2 * self.channels * self.filters

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of x and of w."""
        n, size, channels, filters, kernel = self
        return (n, size, size, channels), (kernel, kernel, channels, filters)

    def __str__(self) -> str:
        images = f"{self.batch} {'image' if self.batch == 1 else 'images'}"
        channels = f"{self.channels} to {self.filters} channels"
        return (
            f"{self.kernel}x{self.kernel} convolution of {images} of {self.size}x{self.size},"
            f" {channels}"
        )


class Reading(NamedTuple):
    """The measurement of one rung in one pass."""

    name: str
    idea: str
    seconds: float  # median of the repeats
    speed: float  # in `Climb.unit`; of the plain sum, however many products the rung computes
    share_of_peak: float
    speedup: float  # over the first rung
    error: float  # relative L2 error against float64
    waits_for: str = ""  # of a rung on a GPU, computed
    counter: str = ""  # of Nsight Compute, which shows it


class Climb(NamedTuple):
    """What `climb` or ladder_gpu's `climb_gpu` found: the readings of each pass."""

    peak: float  # FLOP/s (or bytes/s) of the machine
    readings: dict[str, list[Reading]]
    left_out: dict[str, str]  # rungs that cannot compute this problem, and why
    wrong: dict[str, str] = {}  # "pass: rung" that was not measured, and why
    unit: str = "GFLOP/s"


def ignore(text: str) -> None:
    """Report no progress."""


def climb(
    problem: Problem,
    passes: Sequence[str] = PASSES,
    repeats: int = 5,
    progress: Progress = ignore,
) -> Climb:
    """Measure every rung that computes this problem, in each of `passes`.

    Raises ValueError for a problem that is none, and AssertionError if the result of a rung is not
    that of the reference.
    """
    validate(problem)
    peak, (calls, exact) = peak_flops(), _cases(problem)
    reasons = {rung: _unable(rung, problem) for rung in ladder.rungs()}
    left_out = {rung.name: reason for rung, reason in reasons.items() if reason}
    rungs = [rung for rung, reason in reasons.items() if not reason]
    found: dict[str, list[Reading]] = {}
    for name in passes:
        readings = found[name] = []
        for rung in rungs:
            progress(f"{name}: {rung.name}")
            error = _error(calls[name](rung), exact[name])
            _expect(error, rung.error, f"{rung.name!r} is wrong in {name}")
            time.sleep(PAUSE)
            seconds = _median_time(calls[name], rung, repeats)
            idea = rung.idea
            if rung.algorithm:
                idea += f": {rung.algorithm(*problem.shapes, problem.kernel // 2)}"
            readings.append(reading(rung.name, idea, seconds, problem.flops, peak, readings, error))
    return Climb(peak, found, left_out)


def _unable(rung: ladder.Rung, problem: Problem) -> str:
    """Why a rung is left out; empty if it is not."""
    if rung.kernel not in (None, problem.kernel):
        return f"left out: it computes only {rung.kernel}x{rung.kernel} kernels"
    reason = rung.unavailable()
    return f"not available: {reason}" if reason else ""


def validate(problem: Problem) -> None:
    """Raise ValueError for a problem that is none."""
    if min(problem) < 1 or problem.kernel % 2 == 0:
        raise ValueError(f"ladder: {problem}: expected sizes >= 1 and an odd kernel")


def _expect(error: float, most: float, what: str) -> None:
    """Raise AssertionError for a larger error, or one that is NaN."""
    if not error <= most:
        raise AssertionError(f"the rung {what}: relative error {error:.1e}, expected {most:.0e}")


def reading(
    name: str,
    idea: str,
    seconds: float,
    amount: float,
    peak: float,
    before: list[Reading],
    error: float,
) -> Reading:
    """The reading of a rung from its time and the `amount` of its work, FLOP or bytes.

    `before` are the readings of the lower rungs.
    """
    speed, first = amount / seconds, before[0].seconds if before else seconds
    return Reading(name, idea, seconds, speed / 1e9, speed / peak, first / seconds, error)


def arrays(problem: Problem) -> tuple[Array, Array, Array, Array]:
    """x, w, b and dy of a problem: the same in every run."""
    generator = np.random.default_rng(0)
    x_shape, w_shape = problem.shapes
    x = generator.standard_normal(x_shape, dtype=np.float32)
    scale = np.float32(np.sqrt(problem.kernel**2 * problem.channels))
    w = generator.standard_normal(w_shape, dtype=np.float32) / scale
    b = generator.standard_normal(problem.filters, dtype=np.float32)
    dy = generator.standard_normal((*x_shape[:3], problem.filters), dtype=np.float32)
    return x, w, b, dy


def _cases(
    problem: Problem,
) -> tuple[dict[str, Callable[[ladder.Rung], Array]], dict[str, Array]]:
    """For each pass how to call a rung, and the exact result."""
    (x, w, b, dy), kernel = arrays(problem), problem.kernel
    pad = kernel // 2
    x64, w64, b64, dy64 = (a.astype(np.float64) for a in (x, w, b, dy))
    exact = {
        "forward": reference.conv2d(x64, w64, b64, padding=pad, activation="relu"),
        "grad_input": reference.conv2d_grad_input(dy64, w64, x.shape, padding=pad),
        "grad_weight": reference.conv2d_grad_weight(dy64, x64, w.shape, padding=pad)[0],
    }
    calls: dict[str, Callable[[ladder.Rung], Array]] = {
        "forward": lambda rung: rung.forward(x, w, b, pad),
        "grad_input": lambda rung: rung.grad_input(dy, w, pad),
        "grad_weight": lambda rung: rung.grad_weight(dy, x, kernel, pad)[0],
    }
    return calls, exact


def _error(result: Array, exact: Array) -> float:
    """The relative L2 error."""
    return float(np.linalg.norm(result.astype(np.float64) - exact) / np.linalg.norm(exact))


def _median_time(call: Callable[[ladder.Rung], Array], rung: ladder.Rung, repeats: int) -> float:
    """Seconds: the median of `repeats` calls, more of short ones and fewer of long ones.

    At least LEAST seconds are measured, and no call is begun after 3 s except for the second.
    """
    times: list[float] = []
    while len(times) < 2 or (sum(times) < 3 and (len(times) < repeats or sum(times) < LEAST)):
        started = time.perf_counter()
        call(rung)
        times.append(time.perf_counter() - started)
    return float(np.median(times))
