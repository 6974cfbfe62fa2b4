"""Composition is explicit: these three containers know how a gradient travels through them, and nothing records a tape."""

from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..kernels import dispatch as K
from .activation import check_activation
from .base import Layer, Shape, is_observed, join, keeps_for_backward
from .conv import Conv2d
from .norm import BatchNorm2d
from .pool import MaxPool2d


@contextmanager
def _inside(name: str):
    """A ShapeError raised in this block names the layer `name` on its path."""
    try:
        yield
    except ShapeError as error:
        raise error.within(name) from None


class _Container(Layer):
    """Layers by name, in order. Unnamed ones are called "0", "1", ...

    Each is reachable as an attribute where its name allows, `net.conv1`, and by position or name, `net[0]`, `net["conv1"]`.
    """

    def __init__(self, *layers: Layer, **named: Layer):
        self._layers: dict[str, Layer] = {str(i): layer for i, layer in enumerate(layers)} | named
        for name, layer in self._layers.items():
            if not isinstance(layer, Layer):
                raise ValueError(f"{type(self).__name__}: {name} is {layer!r}; expected a layer")
        if not self._layers:
            raise ValueError(f"{type(self).__name__}: expected at least one layer")

    def children(self):
        yield from self._layers.items()

    def __getattr__(self, name):
        layers = self.__dict__.get("_layers", {})
        if name in layers:
            return layers[name]
        raise AttributeError(f"{type(self).__name__} has no layer or attribute {name!r}")

    def __getitem__(self, key):
        return self._layers[key] if isinstance(key, str) else list(self._layers.values())[key]

    def __len__(self):
        return len(self._layers)

    def __iter__(self):
        return iter(self._layers.values())


# Neighbors that share a pass over memory where nobody watches what goes from one to the other.


def are_conv_and_norm(layer: Layer, follower: Any) -> bool:
    """Whether these are a convolution and its batch norm. In training the first knows what statistics the second wants."""
    return (
        type(layer) is Conv2d
        and type(follower) is BatchNorm2d
        and layer.activation is None
        and not is_observed()
    )


def are_foldable(layer: Layer, follower: Any) -> bool:
    """Whether they are, and can be one: in eval mode, with no backward to come."""
    return are_conv_and_norm(layer, follower) and not (follower.training or keeps_for_backward())


def is_rectified(layers: list[Layer], position: int) -> bool:
    """Whether the layer at `position` is a convolution of what another one's ReLU made, so that it can give the gradient before that ReLU.

    Max pools between them let it pass: what wins in a window is positive before and after.
    """
    if type(layers[position]) is not Conv2d or is_observed():
        return False
    while position > 1 and type(layers[position - 1]) is MaxPool2d:
        position -= 1
    before: Any = layers[position - 1] if position else None
    return type(before) is Conv2d and before.activation == "relu"


class Sequential(_Container):
    """One layer after the other; backward walks the list backwards.

    `Sequential(conv1=Conv2d(...), pool1=MaxPool2d(...))` names the layers as the paper does.
    `input_shape` (H, W, C) is what the network was designed for; it is used when a summary or a data set is asked for without a size.
    """

    def __init__(self, *layers: Layer, input_shape: Shape = (), **named: Layer):
        super().__init__(*layers, **named)
        self.input_shape = input_shape

    def output_shape(self, shape: Shape) -> Shape:
        for name, layer in self._layers.items():
            with _inside(name):
                shape = layer.output_shape(shape)
        return shape

    def trace(self, shape, name=""):
        for child, layer in self._layers.items():
            with _inside(child):
                yield from layer.trace(shape, join(name, child))
                shape = layer.output_shape(shape)

    def forward(self, x, out=None):
        return self._forward(x, {"out": out})

    def forward_added(self, x, other, activation=None, out=None):
        return self._forward(x, {"other": other, "activation": activation, "out": out})

    def _forward(self, x, end: dict):
        """One layer after the other; `end` is what the last one is told."""
        steps: list[tuple[str, Any]] = list(self._layers.items())
        moments: dict | None = None  # what the convolution just before found out for its batch norm
        while steps:
            name, layer = steps.pop(0)
            follower: Any = steps[0][1] if steps else None
            folded = are_foldable(layer, follower)
            if folded:
                steps.pop(0)
            told = {} if steps else end
            with _inside(name):
                if folded:
                    x = layer.forward_folded(x, follower, **told)
                elif are_conv_and_norm(layer, follower) and follower.training:
                    moments = {}
                    x = layer.forward_watched(x, moments)
                elif moments is not None:
                    x = layer.normalize(x, moments=moments, **told)
                    moments = None
                elif "other" in told:
                    x = layer.forward_added(x, **told)
                else:
                    x = layer(x, **told)
        return x

    def backward(self, dy, need_dx=True):
        layers = list(self)
        rectified = (
            False  # whether dy went through the ReLU of the convolution that it will come to
        )
        for position, layer in reversed(list(enumerate(layers))):
            options = {}
            if type(layer) is Conv2d:
                before = is_rectified(layers, position)
                if rectified or before:
                    options = {"dy_rectified": rectified, "x_rectified": before}
                rectified = before
            dy = layer.backward(dy, need_dx=need_dx or position > 0, **options)
        return dy


class AuxiliarySequential(Sequential):
    """A Sequential with auxiliary classifiers: in training, `heads[name]` also reads the output of the layer `name`.

    In train mode forward returns `(output, auxiliary, ...)` in the order of the heads, and backward takes the matching tuple of gradients;
    a head's dx joins the main path where it branched off. In eval mode the heads are silent (Szegedy et al. 2014, section 5).
    Their parameters are called aux1..., aux2..., and so on.
    """

    def __init__(
        self, *layers: Layer, heads: dict[str, Layer], input_shape: Shape = (), **named: Layer
    ):
        super().__init__(*layers, input_shape=input_shape, **named)
        for name in heads:
            if name not in self._layers:
                raise ValueError(
                    f"AuxiliarySequential: there is no layer {name!r} for a head to read"
                )
        self._heads = dict(heads)

    def children(self):
        yield from self._layers.items()
        for number, head in enumerate(self._heads.values(), 1):
            yield f"aux{number}", head

    def trace_heads(self, shape: Shape):
        """A `Step` for each leaf layer of the heads, as `trace` gives them for the main path."""
        names = {id(head): name for name, head in self.children()}
        for name, layer in self._layers.items():
            shape = layer.output_shape(shape)
            if name in self._heads:
                yield from self._heads[name].trace(shape, names[id(self._heads[name])])

    forward_added = Layer.forward_added  # Sequential's would pass by the heads

    def forward(self, x, out=None):
        auxiliary = []
        for position, (name, layer) in enumerate(self._layers.items(), 1):
            with _inside(name):
                x = layer(x, out=out if position == len(self) else None)
                if self.training and name in self._heads:
                    auxiliary.append(self._heads[name](x))
        self.save_for_backward(bool(auxiliary))
        return (x, *auxiliary) if auxiliary else x

    def backward(self, dy, need_dx=True):
        (with_heads,) = self.saved()
        gradients = {}
        if with_heads:
            expected = 1 + len(self._heads)
            if not isinstance(dy, tuple) or len(dy) != expected:
                raise ShapeError(
                    f"backward in training takes a tuple of {expected} gradients: the output's and each head's"
                )
            dy, *rest = dy
            gradients = dict(zip(self._heads, rest, strict=True))
        for position, (name, layer) in reversed(list(enumerate(self._layers.items()))):
            if name in gradients:
                dy = K.add(dy, self._heads[name].backward(gradients[name]))
            dy = layer.backward(dy, need_dx=need_dx or position > 0)
        return dy


class Concat(_Container):
    """Branches side by side on the same input, their outputs joined along the channels: the Inception module's frame.

        y = [branch_1(x), branch_2(x), ...]        dx = sum_i branch_i.backward(dy's channels of branch i)

    Each branch writes straight into its slice of the result (Szegedy et al. 2014, figure 2).
    Raises ShapeError if the branches' outputs differ in more than their channels.
    """

    def _branch_shapes(self, shape: Shape) -> list[Shape]:
        shapes = []
        for name, branch in self.children():
            with _inside(name):
                shapes.append(branch.output_shape(shape))
        if len({s[:-1] for s in shapes}) > 1:
            raise ShapeError(
                f"Concat: the branches give {', '.join(map(str, shapes))}; only the channels may differ"
            )
        return shapes

    def output_shape(self, shape: Shape) -> Shape:
        shapes = self._branch_shapes(shape)
        return (*shapes[0][:-1], sum(s[-1] for s in shapes))

    def trace(self, shape, name=""):
        for child, branch in self.children():
            yield from branch.trace(shape, join(name, child))

    def forward(self, x, out=None):
        shapes = self._branch_shapes(x.shape)
        if out is None:
            out = K.empty(x, (*shapes[0][:-1], sum(s[-1] for s in shapes)))
        ends = np.cumsum([s[-1] for s in shapes])
        for branch, shape, end in zip(self, shapes, ends, strict=True):
            branch(x, out=out[..., end - shape[-1] : end])
        self.save_for_backward(ends, out.shape)
        return out

    def backward(self, dy, need_dx=True):
        ends, shape = self.saved()
        self.check_gradient(dy, shape)
        starts = [0, *ends[:-1]]
        dx = None
        for branch, start, end in zip(self, starts, ends, strict=True):
            part = branch.backward(dy[..., start:end], need_dx=need_dx)
            dx = part if dx is None or part is None else K.add(dx, part)
        return dx


class Residual(Layer):
    """`y = f(body(x) + shortcut(x))` (He et al. 2015b, equations 1 and 2); backward sends dy down both ways and adds the two dx.

    `shortcut` None is the identity. `activation` is applied after the addition; None for the pre-activation form.
    Raises ShapeError if body and shortcut give different shapes.
    """

    def __init__(self, body: Layer, shortcut: Layer | None = None, activation: str | None = None):
        self.body, self.shortcut = body, shortcut
        self.activation = check_activation(activation)

    def output_shape(self, shape: Shape) -> Shape:
        deep = self.body.output_shape(shape)
        short = self.shortcut.output_shape(shape) if self.shortcut else shape
        if deep != short:
            raise ShapeError(
                f"Residual: the body gives {deep} and the shortcut {short}; they must be equal to be added"
            )
        return deep

    def trace(self, shape, name=""):
        self.output_shape(shape)
        for child, layer in self.children():
            yield from layer.trace(shape, join(name, child))

    def forward(self, x, out=None):
        self.output_shape(x.shape)
        other = self.shortcut(x) if self.shortcut else x
        if is_observed():
            y = K.add(self.body(x), other, self.activation, out=out)
        else:
            y = self.body.forward_added(x, other, self.activation, out)
        self.save_for_backward(y)
        return y

    def backward(self, dy, need_dx=True):
        (y,) = self.saved()
        self.check_gradient(dy, y.shape)
        dy = K.activation_grad(dy, y, self.activation)
        dx = self.body.backward(dy, need_dx=need_dx)
        other = self.shortcut.backward(dy, need_dx=need_dx) if self.shortcut else dy
        return K.add(dx, other) if need_dx else None
