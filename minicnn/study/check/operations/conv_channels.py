"""Mistakes in the channels, the filters and the bias of a convolution."""

import numpy as np

from ..case import Fault
from .conv import asked, forward, only, truth
from .conv_styles import axes_of_db

CHANNEL_FAULTS = (
    asked(
        "no bias",
        "the bias is missing",
        "Add b[k] to every place of output channel k.",
        "y",
        lambda c: c.but(b=0 * c.b),
    ),
    asked(
        "bias subtracted",
        "the bias is subtracted",
        "Add b[k].",
        "y",
        lambda c: c.but(b=-c.b),
    ),
    asked(
        "first bias for all",
        "every output channel has the bias of the first one",
        "Output channel k has the bias b[k].",
        "y",
        lambda c: c.but(b=np.full_like(c.b, c.b[0])),
    ),
    asked(
        "biases summed",
        "the sum of all biases is added to every output channel",
        "Output channel k has the bias b[k].",
        "y",
        lambda c: c.but(b=np.full_like(c.b, c.b.sum())),
    ),
    asked(
        "bias per cell",
        "the bias is added once for each cell of the kernel",
        "Add b[k] once, after the sum over the window.",
        "y",
        lambda c: c.but(b=c.w[..., 0, 0].size * c.b),
    ),
    asked(
        "bias twice",
        "the bias is added twice",
        "Add b[k] once, after the sum over the window.",
        "y",
        lambda c: c.but(b=2 * c.b),
    ),
    asked(
        "bias per channel",
        "the bias is added once for each input channel",
        "Add b[k] once, after the sum over the channels.",
        "y",
        lambda c: c.but(b=c.x.shape[3] * c.b),
    ),
    asked(
        "bias per weight",
        "the bias is added inside the sum, once for each weight",
        "Add b[k] once, after the sum over the window.",
        "y",
        lambda c: c.but(b=c.w[..., 0].size * c.b),
    ),
    Fault(
        "last channel only",
        "only the last input channel counts: `=` where `+=` is needed",
        "Sum the products over all input channels.",
        {"y": lambda c: forward(only(c, "c", -1))},
        lambda c: only(c, "c", -1),
    ),
    Fault(
        "first channel only",
        "only the first input channel counts",
        "Sum the products over all input channels.",
        {"y": lambda c: forward(only(c, "c", 0))},
        lambda c: only(c, "c", 0),
    ),
    Fault(
        "channels summed",
        "the input channels are summed before they are weighted",
        "Each input channel has weights of its own: multiply first, then sum over c.",
        {
            "y": lambda c: forward(
                c.but(x=np.repeat(c.x.sum(axis=3, keepdims=True), c.x.shape[3], axis=3))
            )
        },
    ),
    Fault(
        "first weights for all channels",
        "all input channels use the weights of the first one",
        "Each input channel has weights of its own: w[i, j, c].",
        {"y": lambda c: forward(c.but(w=np.repeat(c.w[:, :, :1], c.x.shape[3], axis=2)))},
    ),
    Fault(
        "kept axis",
        "the numbers are right, but the shape keeps axes of length 1",
        "db has the shape of b, (K,): sum without keepdims.",
        {"db": lambda c: truth(c, {})["db"].reshape(1, -1, 1, 1)},
    ),
    Fault(
        "kept axis",
        "the numbers are right, but the shape keeps axes of length 1",
        "db has the shape of b, (K,): sum without keepdims.",
        {"db": lambda c: truth(c, {})["db"].reshape(1, 1, 1, -1)},
    ),
    Fault(
        "db of ones",
        "db is 1 everywhere: dy is not used",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: np.ones_like(c.b)},
    ),
    asked(
        "last filter only",
        "only the last filter contributes to dx: `=` where `+=` is needed",
        "Every filter read the pixel: sum over k.",
        "dx",
        lambda c: only(c, "k", -1),
    ),
    asked(
        "first filter only",
        "only the first filter contributes to dx",
        "Every filter read the pixel: sum over k.",
        "dx",
        lambda c: only(c, "k", 0),
    ),
    Fault(
        "first filter for all",
        "every output channel uses the weights of the first filter",
        "Output channel k uses filter k: w[i, j, c, k].",
        {
            "y": lambda c: forward(c.but(w=np.repeat(c.w[..., :1], c.w.shape[3], axis=3))),
            "dx": lambda c: truth(c.but(w=np.repeat(c.w[..., :1], c.w.shape[3], axis=3)), {})["dx"],
        },
    ),
    *axes_of_db(),
    Fault(
        "mean of db",
        "db is a mean over the batch and all places",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: c.dy.mean(axis=(0, 1, 2))},
    ),
    Fault(
        "mean over places",
        "it is divided by the number of places of the output",
        "Sum over the places; take no mean.",
        {
            "dw": lambda c: truth(c, {})["dw"] / c.dy[0, ..., 0].size,
            "db": lambda c: truth(c, {})["db"] / c.dy[0, ..., 0].size,
        },
    ),
    Fault(
        "db counts",
        "db counts the places instead of adding dy there",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: np.full(c.b.shape, c.dy[..., 0].size, float)},
    ),
    Fault(
        "last place of db",
        "`=` where `+=` is needed: only the last place counts",
        "db[k] is the sum of dy over the batch, the rows and the columns.",
        {"db": lambda c: c.dy[-1, -1, -1]},
    ),
)
