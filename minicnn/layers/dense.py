"""A dense block in one array (Huang et al. 2017; Pleiss et al. 2017, arXiv:1707.06990)."""

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
        return (*shape[:-1], self._slices(shape)[-1].stop)

    def _slices(self, shape: Shape) -> list[slice]:
        """The channels of y that each branch writes; it reads all before them."""
        slices, end = [], shape[-1]
        for name, branch in self.branches.items():
            with inside(name):
                new = branch.output_shape((*shape[:-1], end))[-1]
            slices.append(slice(end, end + new))
            end += new
        return slices

    def forward(self, x: Array, out: Array | None = None) -> Array:
        slices = self._slices(x.shape)
        y = F.empty(x, (*x.shape[:-1], slices[-1].stop)) if out is None else out
        y[..., : x.shape[-1]] = x
        for (name, branch), new in zip(self.branches.items(), slices, strict=True):
            with inside(name):
                branch(y[..., : new.start], out=y[..., new])
        self.save_for_backward(slices, y.shape)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array:
        slices, shape = self.pop_saved()
        check_dy_shape(self, dy, shape)
        dx = F.empty(dy, shape)
        dx[...] = dy
        for (name, branch), new in reversed(list(zip(self.branches.items(), slices, strict=True))):
            with inside(name):
                dx[..., : new.start] += branch.backpropagate(dx[..., new])
        return dx[..., : slices[0].start]
