"""Whether a statement "the measure of A is lower than that of B" holds for runs with a few seeds.

    difference  d = mean(B) - mean(A)
    half-width  h = t * sqrt(s_A^2 / n_A + s_B^2 / n_B)

d +- h is Welch's 95 % interval, with t Student's quantile for the degrees of freedom of Welch and
Satterthwaite, rounded down. s is the standard deviation over the seeds. With a tolerance m, "A is
at most m above B", d + m takes the place of d. The statement

    holds           if d + m > h
    does not hold   if d + m < -h
    is undecided    otherwise: the seeds differ too much to tell, or all are equal.

Source: Welch 1947, Biometrika 34, 28-35.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import mean, variance

from ..bands import student_quantile

CONFIDENCE = 0.95


class Outcome(StrEnum):
    """What can come of a statement."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one statement.

    reason: why it is undecided, or empty. difference, half_width: d and h, None if unknown.
    at_least: the difference is a lower limit of its size, because a run of one side was too short.
    """

    outcome: Outcome
    reason: str = ""
    difference: float | None = None
    half_width: float | None = None
    at_least: bool = False


def judge(
    lower: Sequence[float],
    higher: Sequence[float],
    *,
    margin: float = 0.0,
    limit: float | None = None,
    exact: bool = False,
) -> Verdict:
    """Decide whether `lower` is lower than `higher`, given one value of the measure per seed.

    margin: the tolerance m. exact: the measure does not depend on the seed, so one is enough.
    limit: the largest value that the runs could show. A run that did not reach it has the value
    inf; it counts as `limit`, so the difference can only be larger than the one computed.
    """
    late = [any(map(math.isinf, values)) for values in (lower, higher)]
    if all(late):
        return Verdict(Outcome.UNDECIDED, "runs on both sides did not reach it")
    if any(late) and limit is None:
        raise ValueError("judge: there are infinite values; expected a limit")
    sides = [[limit if math.isinf(v) else v for v in side] for side in (lower, higher)]  # type: ignore[misc]
    difference, half_width = interval(*sides)  # type: ignore[arg-type]
    if half_width is None and not exact:
        return Verdict(Outcome.UNDECIDED, "one seed has no spread", difference)
    decided = abs(difference + margin) > (half_width or 0.0)
    outcome = Outcome.HOLDS if difference + margin > 0 else Outcome.FAILS
    # What a run that did not reach it would have shown speaks against the side that it is on.
    against = (late[0] and outcome is Outcome.HOLDS) or (late[1] and outcome is Outcome.FAILS)
    if not decided:
        spread = "the seeds differ too much to tell"
        reason = spread if half_width else "the two are equal"
        return Verdict(Outcome.UNDECIDED, reason, difference, half_width)
    if against:
        return Verdict(Outcome.UNDECIDED, "some of the runs did not reach it", difference)
    return Verdict(outcome, "", difference, half_width, at_least=any(late))


def interval(lower: Sequence[float], higher: Sequence[float]) -> tuple[float, float | None]:
    """The difference d and the half-width h; None for h if a side has a single value."""
    difference = mean(higher) - mean(lower)
    if min(len(lower), len(higher)) < 2:
        return difference, None
    parts = [variance(side) / len(side) for side in (lower, higher)]
    total = sum(parts)
    if total == 0:
        return difference, 0.0
    counts = len(lower) - 1, len(higher) - 1
    degrees = total**2 / sum(part**2 / n for part, n in zip(parts, counts, strict=True))
    quantile = student_quantile((1 + CONFIDENCE) / 2, math.floor(degrees + 1e-9))
    return difference, quantile * math.sqrt(total)
