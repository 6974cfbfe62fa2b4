"""Climb the ladder of convolutions: check every rung against the reference, time it, and see what each idea is worth."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..device import runtime, to_host, validate_device
from ..kernels import ladder, reference
from ..kernels.cpu.engine.machine import peak_flops
from ..kernels.ladder import gpu as gpu_ladder
from ..kernels.ladder.gpu.peak import multiply_add_rate

PASSES = ("forward", "grad_input", "grad_weight")
QUIET = 0.6  # seconds before a rung is timed: threads of NumPy's BLAS library spin for a while after a product, on the cores to be measured
TOLERANCE = 1e-4  # of the largest value: any rung may round, none may be wrong


class Problem(NamedTuple):
    """A stride-1 convolution with padding that keeps the image's size."""

    batch: int = 4
    size: int = 28
    channels: int = 128
    filters: int = 128
    kernel: int = 3

    @property
    def flops(self) -> int:
        """Of the plain sum, for one pass."""
        return 2 * self.batch * self.size**2 * self.kernel**2 * self.channels * self.filters

    def __str__(self):
        shape = f"{self.batch} images of {self.size}x{self.size}, {self.channels} to {self.filters} channels"
        return f"{self.kernel}x{self.kernel} convolution of {shape}"


class Reading(NamedTuple):
    """One rung's measurement in one pass."""

    name: str
    idea: str
    seconds: float  # median of the repeats
    gflops: float  # of the plain sum, whatever the rung really multiplies
    share_of_peak: float  # of all cores
    speedup: float  # over the first rung
    error: float  # relative L2 error against float64


def climb(
    problem: Problem,
    passes=PASSES,
    repeats: int = 5,
    progress: Callable[[str], None] = lambda text: None,
):
    """Measure every rung in each of `passes`. Returns `{pass: [Reading, ...]}`, lowest rung first.

    Raises ValueError for a size that no convolution has, AssertionError if a rung computes something else than the reference.
    """
    if min(problem) < 1 or problem.kernel % 2 == 0:
        raise ValueError(f"ladder: {problem}: expected sizes >= 1 and an odd kernel")
    peak = peak_flops()
    calls, exact = _cases(problem)
    found: dict[str, list[Reading]] = {}
    for name in passes:
        readings: list[Reading] = []
        for rung in ladder.rungs():
            progress(f"{name}: {rung.name}")
            result = calls[name](rung)
            error = _error(result, exact[name])
            if not error < TOLERANCE:
                raise AssertionError(
                    f"the rung {rung.name!r} is wrong in {name}: relative error {error:.1e}"
                )
            time.sleep(QUIET)
            seconds = _median_time(lambda: calls[name](rung), repeats)  # noqa: B023 - called at once
            first = readings[0].seconds if readings else seconds
            speed = problem.flops / seconds
            readings.append(
                Reading(
                    rung.name, rung.idea, seconds, speed / 1e9, speed / peak, first / seconds, error
                )
            )
        found[name] = readings
    return found


def climb_gpu(
    problem: Problem, repeats: int = 5, progress: Callable[[str], None] = lambda text: None
):
    """The forward pass on the GPU, by every rung of `kernels.ladder.gpu`; shares are of what the ordinary units reach.

    Returns and raises what `climb` does, and RuntimeError if there is no GPU.
    """
    if min(problem) < 1 or problem.kernel % 2 == 0:
        raise ValueError(f"ladder: {problem}: expected sizes >= 1 and an odd kernel")
    validate_device("cuda")
    run = runtime()
    _, exact = _cases(problem)
    x, w, b, _ = _arrays(problem)
    on_device = [run.upload(a) for a in (x, w, b)]
    peak = multiply_add_rate()
    readings: list[Reading] = []
    for rung in gpu_ladder.rungs():
        progress(f"forward: {rung.name}")
        error = _error(to_host(rung.forward(*on_device)).astype(np.float64), exact["forward"])
        if not error < rung.error:
            raise AssertionError(f"the rung {rung.name!r} is wrong: relative error {error:.1e}")
        seconds = float(
            np.median(
                run.times(lambda i, rung=rung: rung.forward(*on_device), repeats, 3, captured=False)
            )
        )
        first = readings[0].seconds if readings else seconds
        speed = problem.flops / seconds
        readings.append(
            Reading(
                rung.name, rung.idea, seconds, speed / 1e9, speed / peak, first / seconds, error
            )
        )
    return {"forward": readings}


def _arrays(problem: Problem):
    """x, w, b and dy of a problem: the same in every run."""
    generator = np.random.default_rng(0)
    n, size, channels, filters, kernel = problem
    x = generator.standard_normal((n, size, size, channels), dtype=np.float32)
    w = generator.standard_normal(
        (kernel, kernel, channels, filters), dtype=np.float32
    ) / np.float32(np.sqrt(kernel**2 * channels))
    b = generator.standard_normal(filters, dtype=np.float32)
    return x, w, b, generator.standard_normal((n, size, size, filters), dtype=np.float32)


def _cases(problem: Problem):
    """For each pass how to call a rung, and the exact result."""
    (x, w, b, dy), kernel = _arrays(problem), problem.kernel
    pad = kernel // 2
    wide = [a.astype(np.float64) for a in (x, w, b, dy)]
    exact = {
        "forward": reference.conv2d(*wide[:3], padding=pad, activation="relu"),
        "grad_input": reference.conv2d_grad_input(wide[3], wide[1], x.shape, padding=pad),
        "grad_weight": reference.conv2d_grad_weight(wide[3], wide[0], w.shape, padding=pad)[0],
    }
    calls = {
        "forward": lambda rung: rung.forward(x, w, b, pad),
        "grad_input": lambda rung: rung.grad_input(dy, w, pad),
        "grad_weight": lambda rung: rung.grad_weight(dy, x, kernel, pad)[0],
    }
    return calls, exact


def _error(result, exact) -> float:
    return float(np.linalg.norm(result - exact) / np.linalg.norm(exact))


def _median_time(call, repeats: int) -> float:
    """Seconds: the median of at least `repeats` calls and a fifth of a second of them; of fewer where they take long."""
    times: list[float] = []
    while len(times) < 2 or (sum(times) < 3 and (len(times) < repeats or sum(times) < 0.2)):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
