"""The dropout layer."""

from ..checks import is_number
from ..errors import brief
from ..kernels import functional as F
from ..kernels.types import Array, Shape
from ..rng import generator
from .checks import check_dy_shape
from .layer import Layer


class Dropout(Layer):
    """In training, set each value to 0 with probability p and scale the rest by 1 / (1 - p).

    Any shape. `minicnn.rng` makes the masks, so one seed repeats them.
    Raises ValueError unless 0 <= p < 1.
    """

    changes_in_training = True

    def __init__(self, p: float = 0.5):
        if not is_number(p, 0) or p >= 1:
            raise ValueError(f"Dropout: p={brief(p)}: expected a probability, 0 <= p < 1")
        self.p = p

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def forward(self, x: Array, out: Array | None = None) -> Array:
        if not self.training or self.p == 0:
            self.save_for_backward(x.shape, None)
            return F.activate(x, None, out=out)
        y, mask = F.dropout(x, self.p, generator(), out=out)
        self.save_for_backward(x.shape, mask)
        return y

    def backward(self, dy: Array, need_dx: bool = True) -> Array | None:
        shape, mask = self.pop_saved()
        check_dy_shape(self, dy, shape)
        return dy if mask is None else F.dropout_grad(dy, mask, self.p)
