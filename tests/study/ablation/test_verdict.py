"""The verdicts: each outcome, the interval by hand, and how often chance decides."""

import math

import numpy as np
import pytest

from minicnn.study.ablation.verdict import Outcome, interval, judge

HOLDS, FAILS, UNDECIDED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNDECIDED
INF = math.inf


@pytest.mark.parametrize(
    ("lower", "higher", "options", "outcome", "reason"),
    [
        ((0.10, 0.11, 0.12), (0.20, 0.21, 0.22), {}, HOLDS, ""),
        ((0.20, 0.21, 0.22), (0.10, 0.11, 0.12), {}, FAILS, ""),
        ((0.10, 0.20, 0.30), (0.12, 0.22, 0.32), {}, UNDECIDED, "the seeds differ too much"),
        ((0.1, 0.1), (0.1, 0.1), {}, UNDECIDED, "the two are equal"),
        ((5,), (5,), {"exact": True}, UNDECIDED, "the two are equal"),
        ((0.1,), (0.5,), {}, UNDECIDED, "one seed has no spread"),
        ((5,), (9,), {"exact": True}, HOLDS, ""),
        ((9,), (5,), {"exact": True}, FAILS, ""),
        # With a margin, a lower variant may be a little higher.
        ((0.105, 0.106), (0.10, 0.101), {}, FAILS, ""),
        ((0.105, 0.106), (0.10, 0.101), {"margin": 0.01}, HOLDS, ""),
        ((0.13, 0.131), (0.10, 0.101), {"margin": 0.01}, FAILS, ""),
        ((0.10, 0.12), (0.10, 0.12), {"margin": 0.01}, UNDECIDED, "the seeds differ too much"),
        # Runs that did not reach it count as the limit, and only against their side.
        ((2, 2.1), (INF, INF), {"limit": 10}, HOLDS, ""),
        ((2, 2.1, 2.2), (9, INF, 9.5), {"limit": 10}, HOLDS, ""),
        ((INF, INF), (2, 2.1), {"limit": 10}, FAILS, ""),
        ((INF, 3), (INF, 3), {"limit": 10}, UNDECIDED, "runs on both sides"),
        ((9.9, 9.8), (1, INF), {"limit": 10}, UNDECIDED, "the seeds differ too much"),
        ((10, 10), (9, INF), {"limit": 9.1}, UNDECIDED, "some of the runs did not reach it"),
    ],
)
def test_every_outcome(lower, higher, options, outcome, reason):
    found = judge(lower, higher, **options)
    assert found.outcome is outcome
    assert found.reason.startswith(reason)
    assert bool(found.reason) == (outcome is UNDECIDED)
    decided_late = outcome is not UNDECIDED and INF in (*lower, *higher)
    assert found.at_least == decided_late


def test_infinite_values_need_a_limit():
    with pytest.raises(ValueError, match="there are infinite values; expected a limit"):
        judge((1, 2), (3, INF))


def test_the_interval_is_welchs():
    # scipy.stats.ttest_ind(b, a, equal_var=False).confidence_interval() has the exact degrees of
    # freedom, 6.9; rounded down to 6, t is 2.4469.
    a, b = (20.1, 19.8, 21.0, 20.6, 19.5), (22.4, 23.9, 21.5, 22.9, 24.3)
    difference, half_width = interval(a, b)
    squares = [np.var(side, ddof=1) / 5 for side in (a, b)]
    degrees = sum(squares) ** 2 / sum(s**2 / 4 for s in squares)
    assert 6 < degrees < 7
    assert difference == pytest.approx(2.8)
    assert half_width == pytest.approx(2.4469 * math.sqrt(sum(squares)), rel=1e-4)
    assert interval((1, 1), (3, 3)) == (2, 0)
    assert interval((1,), (3, 4)) == (2.5, None)


@pytest.mark.parametrize("seeds", [3, 10])
def test_chance_decides_rarely(seeds):
    generator = np.random.default_rng(0)
    runs = generator.standard_normal((500, 2, seeds)) * [[1.0], [3.0]]
    decided = sum(judge(a, b).outcome is not UNDECIDED for a, b in runs)
    assert 0.005 <= decided / len(runs) <= 0.08
