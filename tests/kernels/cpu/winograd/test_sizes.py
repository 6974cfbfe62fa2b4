"""The sizes of Winograd's algorithm."""

import pytest

from minicnn.kernels.cpu.winograd import Sizes, accurate


@pytest.mark.parametrize(
    ("m", "kernel", "results", "tile"),
    [
        (4, (3, 3), (4, 4), (6, 6)),
        (2, (5, 5), (2, 2), (6, 6)),
        (4, (1, 7), (1, 4), (1, 10)),
        (2, (3, 1), (2, 1), (4, 1)),
    ],
)
def test_an_axis_along_which_the_kernel_has_one_pixel_is_not_transformed(m, kernel, results, tile):
    sizes = Sizes.of(m, kernel)
    assert (sizes.results, sizes.tile, sizes.exchanged.tile) == (results, tile, tile)
    assert sizes.positions == tile[0] * tile[1]
    assert sizes.tiles((9, 17)) == tuple(-(-n // m) for n, m in zip((9, 17), results, strict=True))


def test_kernels_that_are_accurate_enough():
    assert accurate((3, 3)) == accurate((1, 7)) == accurate((3, 1)) == (2, 4)
    assert accurate((5, 5)) == (2,)
    assert accurate((1, 1)) == accurate((7, 7)) == accurate((3, 5)) == accurate((1, 9)) == ()
