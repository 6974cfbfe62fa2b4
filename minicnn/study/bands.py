"""Where further runs of a recipe are expected: bands around the curves of a few seeds.

Losses are compared as y = log(loss), error rates as y = arcsin(sqrt(rate)), in which the binomial
noise of a rate on N images is b = 1 / (2 sqrt(N)) for every rate. For n runs, a further run with
another seed lies in an epoch within

    mean(y) +- sqrt(1 + 1/n) * max(t * s, z * b)

s is the standard deviation between the runs, pooled over `WINDOW` epochs, and t Student's quantile
for its degrees of freedom; z is the normal quantile. The factor is that of a prediction interval:
the further run varies, and so does the mean of n runs. The binomial noise is there because a few
runs may agree by chance; seeds that are tested on the same images rarely differ by more. A loss has
none. A single run has no deviation between runs; `SINGLE` times that of its own curve around its
trend, from second differences, takes its place: it misses what is different throughout a run.

The last error rate, the result, has a narrower band: t * s with s from that epoch and from b, which
counts as `PRIOR` further degrees of freedom (a moderated t, Smyth 2004, Stat. Appl. Genet. Mol.
Biol. 3, 3). A run leaves the band in this epoch with a probability of `FINAL`, and anywhere else
with one of `CURVES`, which all other epochs and both measures share (Bonferroni).
"""

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np

WINDOW = 5  # epochs
CURVES, FINAL = 0.025, 0.025  # probabilities to leave the band by chance
PRIOR = 10  # degrees of freedom of the binomial noise in the last error rate
SINGLE = 2.0  # with it, one seed in twenty left the bands of single runs, see results/README.md
TINY = 1e-12  # a loss has no logarithm at 0


@cache
def student_quantile(p: float, degrees: int) -> float:
    """The t with P(T <= t) = p, p > 0.5, of Student's distribution.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4, inverted by
    bisection.
    """
    low, high = 0.0, 1.0
    while _student(high, degrees) < p:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _student(middle, degrees) < p else (low, middle)
    return high


def _student(t: float, degrees: int) -> float:
    """P(T <= t) for t >= 0."""
    angle = math.atan(t / math.sqrt(degrees))
    cosine, odd = math.cos(angle), degrees % 2
    term = cosine if odd else 1.0
    total = term if degrees > 1 else 0.0
    for k in range(2 + odd, degrees, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    within = math.sin(angle) * total  # P(-t <= T <= t)
    if odd:
        within = 2 / math.pi * (angle + within)
    return (1 + within) / 2


def band(curves: Sequence[Sequence[float]], images: int | None = None) -> np.ndarray:
    """The lower end, the center and the upper end per epoch, `(3, epochs)`.

    curves: one per run, `(runs, epochs)`: losses, or error rates in 0..1 that were counted on
    `images` images. Error rates have a narrower band in the last epoch.
    Raises ValueError for a single curve of fewer than three epochs.
    """
    values = np.asarray(curves, np.float64)
    n, epochs = values.shape
    if n == 1 and epochs < 3:
        raise ValueError(f"one run of {epochs} epochs has no band; expected two runs, or 3 epochs")
    values = np.arcsin(np.sqrt(values)) if images else np.log(np.maximum(values, TINY))
    noise = 0.5 / math.sqrt(images) if images else 0.0
    p = 1 - CURVES / (2 * epochs - 1) / 2  # two measures, of which one has its last epoch apart
    width = np.empty(epochs)
    for e in range(epochs):
        deviation, degrees = _deviation(values, e)
        width[e] = max(student_quantile(p, degrees) * deviation, NormalDist().inv_cdf(p) * noise)
    if images:
        width[-1] = _final_width(values[:, -1], noise)
    width *= math.sqrt(1 + 1 / n)
    center = values.mean(axis=0)
    ends = np.array([center - width, center, center + width])
    if not images:
        return np.exp(ends)
    step = 0.5 / images * np.array([[-1], [0], [1]])  # half an image: rates are not continuous
    return (np.sin(ends.clip(0, math.pi / 2)) ** 2 + step).clip(0, 1)


def _final_width(values: np.ndarray, noise: float) -> float:
    """t * s for the final error rates, where s also counts the binomial noise."""
    n = len(values)
    squares = ((values - values.mean()) ** 2).sum() + PRIOR * noise**2
    degrees = n - 1 + PRIOR
    return student_quantile(1 - FINAL / 2, degrees) * math.sqrt(squares / degrees)


def _deviation(values: np.ndarray, epoch: int) -> tuple[float, int]:
    """The standard deviation around that epoch, and its degrees of freedom."""
    n, epochs = values.shape
    near = slice(max(0, epoch - WINDOW // 2), epoch + WINDOW // 2 + 1)
    if n > 1:
        variances = values.var(axis=0, ddof=1)[near]
        return math.sqrt(variances.mean()), (n - 1) * len(variances)
    # The variance of y[j-1] - 2 y[j] + y[j+1] is 1 + 4 + 1 times that of y.
    differences = np.diff(values[0], 2) / math.sqrt(6)
    first = min(max(0, epoch - WINDOW // 2 - 1), max(0, epochs - 2 - WINDOW))
    found = differences[first : first + WINDOW]
    return SINGLE * math.sqrt((found**2).mean()), len(found)
