"""The order of a patch in memory, and its parts."""

import numpy as np
import pytest

from minicnn.kernels.cpu.direct.patches import patch_layout


@pytest.mark.parametrize("longest", [1, 5, 24, 100, 1 << 30])
@pytest.mark.parametrize("step", [6, 8])
def test_parts_are_equally_long_wherever_a_run_ends(longest, step):
    """The runs, one after the other, read the channels of every tap in order."""
    channels, width = 6, 7
    taps = [(i, j) for i in range(2) for j in range(3)]
    layout = patch_layout(taps, channels, step, width, longest)
    read = [start + k for start, floats in layout.runs.tolist() for k in range(floats)]
    assert read == [(i * width + j) * step + c for i, j in taps for c in range(channels)]
    depths = layout.parts[:, 1]
    assert layout.depth == depths[-1] == len(read)
    assert (np.diff(depths)[:-1] == longest).all() and layout.longest == np.diff(depths).max()
    first_runs = np.r_[0, np.cumsum(layout.runs[:, 1])][layout.parts[:, 0]]
    np.testing.assert_array_equal(first_runs, depths)
