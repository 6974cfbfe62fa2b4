"""A dense block in one array (Huang et al. 2017; Pleiss et al. 2017, arXiv:1707.06990)."""

from itertools import pairwise

from ..kernels import functional as F
from ..kernels.types import Array, Shape
from .checks import check_dy_shape, inside
from .layer import Layer


class DenseBlock(Layer):
    """Layers that each add new maps to all maps before them, `(N, H, W, C)` -> more channels.

        y = [x, branch_1(x), branch_2([x, branch_1(x)]), ...]

    The same as one `Concat(Identity(), branch)` after another. There every layer copies all maps
    before it, so that memory grows with the square of their number. Here each writes into its
    slice of y, and the next one reads the slices up to there. In backward, dx of a branch is added
    to the gradient of these.
    """

    def __init__(self, branches: dict[str, Layer]):
        self.branches = branches

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape[:-1], self._ends(shape)[-1])

    def _ends(self, shape: Shape) -> list[int]:
        """The numbers of channels of x, and after each branch."""
        channels = shape[-1]
        ends = [channels]
        for name, branch in self.branches.items():
            with inside(name):
                channels += branch.output_shape((*shape[:-1], channels))[-1]
            ends.append(channels)
        return ends

    def forward(self, x: Array, out: Array | None = None) -> Array:
        ends = self._ends(x.shape)
        y = F.empty(x, (*x.shape[:-1], ends[-1])) if out is None else out
        y[..., : ends[0]] = x
        for (name, branch), (start, end) in self._steps(ends):
            with inside(name):
                branch(y[..., :start], out=y[..., start:end])
        self.save_for_backward(ends, y.shape)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        ends, shape = self.pop_saved()
        check_dy_shape(self, dy, shape)
        dx = F.empty(dy, shape)
        dx[...] = dy
        for (name, branch), (start, end) in reversed(self._steps(ends)):
            with inside(name):
                dx[..., :start] += branch.backpropagate(dx[..., start:end])
        return dx[..., : ends[0]]

    def _steps(self, ends: list[int]) -> list[tuple[tuple[str, Layer], tuple[int, int]]]:
        return list(zip(self.branches.items(), pairwise(ends), strict=True))
