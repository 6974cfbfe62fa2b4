"""Parameter updates, in place, for all parameters in one call: a backend can make one pass of it.

`w`, `g` and the slots are lists with one array per parameter, all of its shape: the value, the
gradient of the loss only, and the optimizer state (velocity, moments). `lr` and `weight_decay` are
lists with one number per parameter.
"""

from ..types import Array
from .arrays import array_module


def sgd_update(
    w: list[Array],
    g: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    momentum: float = 0.0,
    nesterov: bool = False,
    form: str = "torch",
) -> None:
    """Stochastic gradient descent with momentum and L2 weight decay; v is the velocity.

        form "torch":   v = m v + (g + wd w)        w -= lr v
            nesterov:                               w -= lr (g + wd w + m v)
        form "caffe":   v = m v + lr (g + wd w)     w -= v
            nesterov:                               w -= m v + lr (g + wd w)

    "caffe" is the rule of AlexNet (Krizhevsky et al. 2012, section 5) with the opposite sign of v.
    Both take the same steps while lr is constant. After lr drops, the old velocity is still scaled
    by the old rate in "caffe", and by the new one in "torch".
    """
    for w, g, v, lr, wd in zip(w, g, v, lr, weight_decay, strict=True):  # noqa: B020
        g = g + wd * w if wd else g
        rate = 1 if form == "torch" else lr
        v *= momentum
        v += g if rate == 1 else rate * g
        step = momentum * v + rate * g if nesterov else v
        w -= (lr if form == "torch" else 1) * step


def adam_update(
    w: list[Array],
    g: list[Array],
    m: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    step: int,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    decoupled: bool = False,
) -> None:
    """Adam (Kingma & Ba 2015, algorithm 1); with `decoupled` AdamW (Loshchilov & Hutter 2019).

        m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
        w -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    `step` is t, counted from 1. Adam adds wd * w to g; AdamW shrinks w by lr * wd instead.
    """
    for w, g, m, v, lr, wd in zip(w, g, m, v, lr, weight_decay, strict=True):  # noqa: B020
        if wd and decoupled:
            w *= 1 - lr * wd
        elif wd:
            g = g + wd * w
        m += (1 - beta1) * (g - m)
        v += (1 - beta2) * (g * g - v)
        denominator = array_module(w).sqrt(v / (1 - beta2**step)) + eps
        w -= lr / (1 - beta1**step) * m / denominator


def rmsprop_update(
    w: list[Array],
    g: list[Array],
    s: list[Array],
    v: list[Array],
    lr: list[float],
    weight_decay: list[float],
    decay: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
) -> None:
    """RMSProp (Tieleman & Hinton 2012, lecture 6e), with momentum m and eps outside of the root.

    s = decay s + (1 - decay) g^2        v = m v + g / (sqrt(s) + eps)        w -= lr v
    """
    for w, g, s, v, lr, wd in zip(w, g, s, v, lr, weight_decay, strict=True):  # noqa: B020
        g = g + wd * w if wd else g
        s += (1 - decay) * (g * g - s)
        v *= momentum
        v += g / (array_module(w).sqrt(s) + eps)
        w -= lr * v
