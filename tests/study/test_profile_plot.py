"""The bars of a profile."""

from minicnn.study.cost.rows import ProfileRow
from minicnn.study.profile import Profile
from minicnn.study.profile_plot import bars


def test_bars_and_floors():
    rows = [
        ProfileRow("conv_$a$", "Conv2d", 1e-3, 2e-3, 0.5e-3, 1e-3, 10, 20, 30),
        ProfileRow("update", "", 0.0, 1e-3, 0.0, 0.25e-3, 0, 20, 0),
    ]
    numbers = {"peak_flops": 1e11, "bandwidth": 1e10, "step": 4e-3, "fused_step": 4e-3}
    numbers |= {"fastest": 4e-3, "slowest": 4e-3}
    for train in (True, False):
        profile = Profile("net", (8, 8, 3), 1, train, False, 2, rows=rows, operations={}, **numbers)
        (axes,) = bars(profile).axes
        widths = [bar.get_width() for bar in axes.patches]
        assert widths == ([1, 0, 2, 1] if train else [1, 0])
        floors = [line[0][0] for c in axes.collections for line in c.get_segments()]
        assert floors == ([0.5, 1, 0.25] if train else [0.5])
        assert [t.get_text() for t in axes.get_yticklabels()] == ["conv_$a$", "update"]
