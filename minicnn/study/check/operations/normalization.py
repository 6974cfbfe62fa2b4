"""Batch and layer normalization: one definition and one set of cases for several axes."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ....kernels import reference
from ....kernels.types import Array
from ..case import Case, Results, number


class Stats(NamedTuple):
    """What backward needs: x - mean, 1 / sqrt(var + eps), and which values share a mean.

    split: the two lengths into which the last axis is split first, such as (groups, C / groups).
    """

    centered: Array
    inv_std: Array
    axes: tuple[int, ...]
    split: tuple[int, int] | None = None

    @property
    def normalized(self) -> Array:
        """x^."""
        return self.centered * self.inv_std

    @property
    def size(self) -> int:
        """The number of values that share one mean."""
        return count_of(self.centered, self.axes, self.split)

    def mean(self, a: Array) -> Array:
        """The means of `a`, at the places of the values that they are the means of."""
        return mean_of(a, self.axes, self.split)


def mean_of(a: Array, axes: tuple[int, ...], split: tuple[int, int] | None = None) -> Array:
    """The means over `axes`, which count the axes after the split."""
    if split is None:
        return np.asarray(a.mean(axis=axes, keepdims=True))
    parts = a.reshape(*a.shape[:-1], *split)
    return np.broadcast_to(parts.mean(axis=axes, keepdims=True), parts.shape).reshape(a.shape)


def stats(
    c: Case,
    ddof: int = 0,
    eps: float | None = None,
    axes: tuple[int, ...] | None = None,
    split: tuple[int, int] | None = None,
) -> Stats:
    """The statistics of the batch over the case's axes, or over others."""
    if "statistics" in c.settings:  # those of a mistake, together with which another is tried
        own = {k: v for k, v in c.settings.items() if k != "statistics"}
        return c.settings["statistics"](replace(c, settings=own))
    if axes is None:
        axes, split = c.axes, c.settings.get("split")
    centered, count = c.x - mean_of(c.x, axes, split), count_of(c.x, axes, split)
    var = mean_of(centered**2, axes, split) * count / (count - ddof)
    return Stats(centered, 1 / np.sqrt(var + (c.eps if eps is None else eps)), axes, split)


def count_of(x: Array, axes: tuple[int, ...], split: tuple[int, int] | None = None) -> int:
    """The number of values that share one mean."""
    shape = x.shape if split is None else (*x.shape[:-1], *split)
    return int(np.prod([shape[a] for a in axes]))


def output_of(c: Case, s: Stats) -> Array:
    """y from the statistics."""
    return c.gamma * s.normalized + c.beta


def input_gradient(c: Case, s: Stats, second: float = 1, third: float = 1) -> Array:
    """dx from the statistics; `second` and `third` are factors of its two mean terms."""
    g = c.dy * c.gamma
    direct, crossed = s.mean(g), s.normalized * s.mean(g * s.normalized)
    return s.inv_std * (g - second * direct - third * crossed)


def sum_over_batch(a: Array) -> Array:
    """The sum over all axes but the last."""
    return a.sum(axis=tuple(range(a.ndim - 1)))


def truth(c: Case, observed: Results) -> Results:
    """The reference's results."""
    if c.output == "y_test":
        y = reference.batch_norm(
            c.x, c.gamma, c.beta, c.running_mean.copy(), c.running_var.copy(), False, eps=c.eps
        )[0]
        return {"y_test": y}
    found: Results = {}
    if "running_mean" not in c.settings:
        y, *saved = (
            reference.group_norm(c.x, c.gamma, c.beta, c.groups, c.eps)
            if "groups" in c.settings
            else reference.layer_norm(c.x, c.gamma, c.beta, c.eps)
        )
        gradient = (
            reference.group_norm_grad if "groups" in c.settings else reference.layer_norm_grad
        )
        found["y"] = y
        grads = gradient(c.dy, c.x, c.gamma, *saved)
        found |= dict(zip(("dx", "dgamma", "dbeta"), grads, strict=True))
    else:
        mean, var = c.running_mean.copy(), c.running_var.copy()
        y, batch_mean, inv_std = reference.batch_norm(
            c.x, c.gamma, c.beta, mean, var, True, 1 - c.momentum, c.eps
        )
        found["y"] = y
        grads = reference.batch_norm_grad(c.dy, c.x, c.gamma, batch_mean, inv_std)
        found |= dict(zip(("dx", "dgamma", "dbeta"), grads, strict=True))
        found |= {"running_mean": mean, "running_var": var}
        # Courses keep the biased variance, the paper, torch and the reference the unbiased one.
        seen = observed.get("running_var", var[:0])
        if np.shape(seen) != var.shape or not np.allclose(seen, var, rtol=1e-9):
            found["running_var"] = moving_average(c, batch_variance(c, 0))
    return found


def batch_variance(c: Case, ddof: int) -> Array:
    """The variance of each channel, divided by m - ddof."""
    return c.x.reshape(-1, c.x.shape[-1]).var(axis=0, ddof=ddof)


def batch_mean(c: Case) -> Array:
    """The mean of each channel."""
    return c.x.reshape(-1, c.x.shape[-1]).mean(axis=0)


def moving_average(
    c: Case, new: Array, what: str = "running_var", momentum: float | None = None
) -> Array:
    """The running statistic after the batch's `new` one."""
    m = c.momentum if momentum is None else momentum
    return m * c.settings[what] + (1 - m) * new


def grouped(c: Case, groups: int) -> Case:
    """The case with statistics of each image and each of `groups` groups of channels."""
    split = (groups, c.x.shape[-1] // groups)
    return replace(c, settings={**c.settings, "groups": groups, "axes": (1, 2, 4), "split": split})


def make_cases(
    generator: np.random.Generator, shapes: list, axes: tuple, running: bool
) -> list[Case]:
    """Random numbers of several scales, with an eps that matters."""
    found = []
    for index, shape in enumerate(shapes):
        d = shape[-1]
        arrays = {
            "x": generator.standard_normal(shape) * generator.uniform(0.5, 2, d)
            + generator.standard_normal(d),
            "gamma": generator.uniform(0.5, 2, d) * np.where(np.arange(d) % 3 == 1, -1, 1),
            "beta": generator.standard_normal(d),
        }
        settings = {"eps": (0.1, 0.02, 0.5)[index % 3], "axes": axes}
        if running:
            settings |= {
                "momentum": (0.8, 0.6, 0.7)[index % 3],
                "running_mean": generator.standard_normal(d),
                "running_var": generator.uniform(0.5, 2, d),
            }
        case = Case(arrays, settings, generator.standard_normal(shape))
        found.append(case)
        if running and index < 2:
            found.append(replace(case, output="y_test"))
    return found


def make_small(shapes: list, axes: tuple, running: bool) -> list[Case]:
    """Two values 0 and 2 with eps 0 have the variance 1; eps 3 makes the root 2."""
    found = []
    for shape in shapes:
        d = shape[-1]
        count = int(np.prod(shape))
        x = np.resize(np.array([1.0, 3.0, 4.0, 0.0, 2.0, 8.0, 5.0]), count).reshape(shape)
        if len(shape) == 2 and axes == (0,) and shape[0] == 2:
            x = np.array([[1.0] * d, [3.0] * d])
        arrays = {"x": x, "gamma": np.arange(2.0, d + 2), "beta": np.arange(1.0, d + 1)}
        settings = {"eps": 3.0, "axes": axes}
        if running:
            settings |= {
                "momentum": 0.75,
                "running_mean": np.full(d, 4.0),
                "running_var": np.full(d, 6.0),
            }
        dy = np.resize(np.array([1.0, 2.0, -1.0, 3.0, 0.0]), count).reshape(shape)
        case = Case(arrays, settings, dy)
        found.append(case)
        if running:
            found.append(replace(case, output="y_test"))
    return found


def terms(c: Case, result: str, index: tuple[int, ...], right: Results) -> str:
    """The formula with its numbers."""
    if result == "y_test":
        d = index[-1]
        return (
            f"{number(c.gamma[d])} * ({number(c.x[index])} - {number(c.running_mean[d])}) / "
            f"sqrt({number(c.running_var[d])} + {number(c.eps)}) + {number(c.beta[d])}"
        )
    if result.startswith("running"):
        new = batch_mean(c) if result == "running_mean" else batch_variance(c, 0)
        old, m = c.settings[result][index], c.momentum
        return f"{number(m)}*{number(old)} + {number(1 - m)}*{number(new[index])}"
    s = stats(c)
    if result in ("dgamma", "dbeta"):
        column = np.moveaxis(c.dy, -1, 0)[index[0]].ravel()
        hats = np.moveaxis(s.normalized, -1, 0)[index[0]].ravel()
        if result == "dbeta":
            return " + ".join(number(v) for v in column)
        return " + ".join(f"{number(a)}*({number(b)})" for a, b in zip(column, hats, strict=True))
    d = index[-1]
    hat = float(s.normalized[index])
    if result == "y":
        mean_of = number(c.x[index] - s.centered[index])
        var = float(np.broadcast_to(s.inv_std, c.x.shape)[index]) ** -2 - c.eps
        return (
            f"{number(c.gamma[d])} * ({number(c.x[index])} - {mean_of}) / "
            f"sqrt({number(round(var, 6))} + {number(c.eps)}) + {number(c.beta[d])}"
        )
    g = c.dy * c.gamma

    def mean(a: Array) -> float:
        return float(np.broadcast_to(s.mean(a), a.shape)[index])

    inv_std = float(np.broadcast_to(s.inv_std, c.x.shape)[index])
    return (
        f"{number(inv_std)} * ({number(g[index])} - {number(mean(g))} - "
        f"({number(hat)})*({number(mean(g * s.normalized))}))"
    )
