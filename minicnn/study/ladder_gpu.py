"""Climb the GPU's ladders: check each rung against float64, and measure it as a captured graph."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..device import runtime, to_host, validate_device
from ..kernels.ladder import gpu as ladder
from ..kernels.ladder.gpu import peak
from ..kernels.types import Array
from .ladder import Climb, Problem, Progress, Reading, arrays, ignore, reading, validate


class Maps(NamedTuple):
    """The input of a batch norm with ReLU, as in training."""

    batch: int = 128
    size: int = 56
    channels: int = 128

    @property
    def bytes(self) -> int:
        """Read twice and written once: the statistics are complete before y begins."""
        return 3 * 4 * self.batch * self.size**2 * self.channels

    def __str__(self) -> str:
        images = f"{self.batch} {'image' if self.batch == 1 else 'images'}"
        return f"batch norm of {images} of {self.size}x{self.size}, {self.channels} channels"


# A bf16 kernel at the peak of an H100's tensor cores needs 120 us for 118 GFLOP.
PROBLEM = Problem(128, 56, 128, 128)
PIXELS, CHANNELS = 256, 4  # of a large result that are compared with float64
MOST = 0.02  # seconds that one measurement of a fast rung takes

Errors = dict[str, Callable[[Array], float]]


class Work(NamedTuple):
    """One ladder's work: what the rungs compute, and how that is judged."""

    rungs: Sequence[ladder.Rung]
    arguments: tuple[Array, ...]  # of `Rung.prepare`, on the host
    errors: Errors  # of a pass's result, against float64
    amount: float  # FLOP or bytes of a pass
    peak: float  # FLOP/s or bytes/s of the GPU
    unit: str
    channels: tuple[int, ...]
    least: tuple[int, ...]  # the arguments of `Rung.least`


def climb_gpu(
    problem: Problem | Maps = PROBLEM, repeats: int = 5, progress: Progress = ignore
) -> Climb:
    """Measure every rung of `kernels.ladder.gpu` that computes this problem, in each pass.

    The peak is that of the ordinary units, for batch norm that of a copy. A rung that is wrong, or
    fails, is not measured; `Climb.wrong` says why, and the others follow. Raises ValueError for a
    problem that is none, and RuntimeError without a GPU.
    """
    if isinstance(problem, Problem):
        validate(problem)
    elif min(problem) < 1:
        raise ValueError(f"ladder: {problem}: expected sizes >= 1")
    validate_device("cuda")
    work = convolution(problem) if isinstance(problem, Problem) else batch_norm(problem)
    return climb_work(work, repeats, progress)


def climb_work(work: Work, repeats: int = 5, progress: Progress = ignore) -> Climb:
    """Measure the rungs of `work`: see `climb_gpu`."""
    run = runtime()
    given = [run.upload(a) for a in work.arguments]
    found: dict[str, list[Reading]] = {name: [] for name in work.errors}
    left_out: dict[str, str] = {}
    wrong: dict[str, str] = {}
    for rung in work.rungs:
        reason = _unable(rung, work, run.capability)
        if reason:
            left_out[rung.name] = reason
            continue
        progress(rung.name)
        passes = _tried(rung.prepare, *given)
        if isinstance(passes, str):
            wrong |= {f"{name}: {rung.name}": passes for name in work.errors}
            continue
        for name, call in passes.items():
            progress(f"{name}: {rung.name}")
            measured = _tried(_measured, rung, name, call, work, repeats, found[name])
            if isinstance(measured, str):
                wrong[f"{name}: {rung.name}"] = measured
            else:
                found[name].append(measured)
    return Climb(work.peak, found, left_out, wrong, work.unit)


def _unable(rung: ladder.Rung, work: Work, capability: int) -> str:
    """Why a rung is left out; empty if it is not."""
    if capability < rung.capability:
        needs, has = (f"{c // 10}.{c % 10}" for c in (rung.capability, capability))
        return f"left out: it needs compute capability {needs}, and this GPU has {has}"
    if any(c % rung.multiple for c in work.channels):
        return f"left out: it computes only multiples of {rung.multiple} channels"
    return ""


def _tried(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a call, or a sentence on its exception, of any kind: other rungs may work."""
    try:
        return call(*arguments)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return first if isinstance(error, AssertionError) else f"{type(error).__name__}: {first}"


def _measured(
    rung: ladder.Rung,
    name: str,
    call: Callable[[], Any],
    work: Work,
    repeats: int,
    before: list[Reading],
) -> Reading:
    """Check a pass, then measure it. Raises AssertionError if it is wrong."""
    error, times = work.errors[name](to_host(call())), runtime().times
    if not error <= rung.error:
        raise AssertionError(f"wrong: relative error {error:.1e}, expected {rung.error:.0e}")
    once = times(lambda _: call(), 1, 1)[0]
    launches = int(min(max(MOST / once, 1), 20))
    seconds = float(np.median(times(lambda _: call(), repeats, launches)))
    found = reading(rung.name, rung.idea, seconds, work.amount, work.peak, before, error)
    least = rung.least(name, *work.least) if rung.least else None
    return found._replace(waits_for=least.binds if least else "", counter=rung.counter)


# -- convolution ---------------------------------------------------------------------------------


def convolution(problem: Problem) -> Work:
    """The rungs of the convolution, its arrays, and what is right."""
    x, w, b, dy = arrays(problem)
    generator, taps = np.random.default_rng(1), problem.kernel**2
    pixels = problem.batch * problem.size**2
    some = generator.choice(pixels, min(pixels, PIXELS), replace=False)
    some[0] = pixels - 1  # the last block of a grid is the most delicate
    few = generator.choice(problem.channels, min(problem.channels, CHANNELS), replace=False)
    back = w[::-1, ::-1].transpose(0, 1, 3, 2)
    forward = _patches(x, problem.kernel, some) @ w.reshape(-1, problem.filters).astype(np.float64)
    exact = {
        "forward": np.maximum(forward + b, 0),
        "grad_input": _patches(dy, problem.kernel, some)
        @ back.reshape(-1, problem.channels).astype(np.float64),
        "grad_weight": _sums(x[..., few], dy, problem.kernel),
    }
    shown: dict[str, Callable[[Array], Array]] = {
        "forward": lambda y: y.reshape(pixels, -1)[some],
        "grad_input": lambda dx: dx.reshape(pixels, -1)[some],
        "grad_weight": lambda dw: dw[:, :, few],
    }

    def error(name: str, result: Array) -> float:
        return _error(shown[name](result), exact[name])

    return Work(
        rungs=ladder.rungs("conv"),
        arguments=(x, w, b, dy),
        errors={name: partial(error, name) for name in exact},
        amount=problem.flops,
        peak=peak.multiply_add_rate(),
        unit="GFLOP/s",
        channels=(problem.channels, problem.filters),
        least=(pixels, problem.channels, problem.filters, taps),
    )


def _patches(x: Array, size: int, pixels: Array) -> Array:
    """The patches that some pixels of all images read, (pixels, R R C), in float64."""
    _, height, width, channels = x.shape
    lines, v = np.divmod(pixels, width)
    n, h = np.divmod(lines, height)
    found = np.zeros((len(pixels), size, size, channels))
    for i, j in np.ndindex(size, size):
        up, over = h + i - size // 2, v + j - size // 2
        inside = (up >= 0) & (up < height) & (over >= 0) & (over < width)
        found[inside, i, j] = x[n[inside], up[inside], over[inside]]
    return found.reshape(len(pixels), -1)


def _sums(x: Array, dy: Array, size: int) -> Array:
    """The weight gradient (R, R, C, K) in float64, an image at a time."""
    pad, (_, height, width, _) = size // 2, dy.shape
    found = np.zeros((size, size, x.shape[3], dy.shape[3]))
    for image, gradient in zip(x, dy, strict=True):
        padded = np.pad(image.astype(np.float64), ((pad, pad), (pad, pad), (0, 0)))
        rows = gradient.reshape(-1, dy.shape[3]).astype(np.float64)
        for i, j in np.ndindex(size, size):
            patch = padded[i : i + height, j : j + width].reshape(len(rows), -1)
            found[i, j] += patch.T @ rows
    return found


def _error(result: Array, exact: Array) -> float:
    """The relative L2 error; NaN if a number is."""
    distance = np.linalg.norm(result.astype(np.float64) - exact)
    return float(distance / max(float(np.linalg.norm(exact)), 1e-30))


# -- batch norm ----------------------------------------------------------------------------------


def batch_norm(problem: Maps) -> Work:
    """The rungs of batch norm, its arrays, and what is right."""
    generator = np.random.default_rng(0)
    shape = problem.batch, problem.size, problem.size, problem.channels
    x = generator.standard_normal(shape, dtype=np.float32) * 3 + 1
    gamma, beta = (generator.standard_normal(shape[3], dtype=np.float32) for _ in range(2))
    rows = x.reshape(-1, problem.channels)
    mean, var = rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64)
    some = generator.choice(len(rows), min(len(rows), PIXELS), replace=False)
    exact = np.maximum((rows[some] - mean) / np.sqrt(var + 1e-5) * gamma + beta, 0)
    return Work(
        rungs=ladder.rungs("batch_norm"),
        arguments=(x, gamma, beta),
        errors={"forward": lambda y: _error(y.reshape(rows.shape)[some], exact)},
        amount=problem.bytes,
        peak=peak.copy_rate(),
        unit="GB/s",
        channels=(problem.channels,),
        least=(len(rows), problem.channels),
    )
