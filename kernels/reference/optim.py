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

        form "torch":  v = m v + (g + wd w)       w -= lr v    nesterov: w -= lr (g + wd w + m v)
        form "caffe":  v = m v + lr (g + wd w)    w -= v       nesterov: w -= m v + lr (g + wd w)

    "caffe" is the form of AlexNet (Krizhevsky et al. 2012, section 5) with the sign of v changed.
    The two take the same steps while lr is constant. After a drop of lr, the old velocity still
    moves w at the old rate in "caffe", and at the new rate in "torch".
    """
    for w_i, g_i, v_i, lr_i, wd_i in zip(w, g, v, lr, weight_decay, strict=True):
        total = g_i + wd_i * w_i if wd_i else g_i
        rate = 1 if form == "torch" else lr_i
        v_i *= momentum
        v_i += total if rate == 1 else rate * total
        step = momentum * v_i + rate * total if nesterov else v_i
        w_i -= (lr_i if form == "torch" else 1) * step


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
    """Adam (Kingma & Ba 2015, algorithm 1); with `decoupled`, AdamW.

    AdamW is algorithm 2 of Loshchilov & Hutter 2019.

        m = b1 m + (1 - b1) g        v = b2 v + (1 - b2) g^2
        w -= lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    `step` is t, counted from 1. Adam adds wd * w to g; AdamW shrinks w by lr * wd instead.
    """
    for w_i, g_i, m_i, v_i, lr_i, wd_i in zip(w, g, m, v, lr, weight_decay, strict=True):
        if wd_i and decoupled:
            w_i *= 1 - lr_i * wd_i
        total = g_i + wd_i * w_i if wd_i and not decoupled else g_i
        m_i += (1 - beta1) * (total - m_i)
        v_i += (1 - beta2) * (total * total - v_i)
        denominator = array_module(w_i).sqrt(v_i / (1 - beta2**step)) + eps
        w_i -= lr_i / (1 - beta1**step) * m_i / denominator


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
    """RMSProp (Tieleman & Hinton 2012, lecture 6e), with torch's place for eps and a momentum v.

    s = decay s + (1 - decay) g^2        v = m v + g / (sqrt(s) + eps)        w -= lr v
    """
    for w_i, g_i, s_i, v_i, lr_i, wd_i in zip(w, g, s, v, lr, weight_decay, strict=True):
        total = g_i + wd_i * w_i if wd_i else g_i
        s_i += (1 - decay) * (total * total - s_i)
        v_i *= momentum
        v_i += total / (array_module(w_i).sqrt(s_i) + eps)
        w_i -= lr_i * v_i
