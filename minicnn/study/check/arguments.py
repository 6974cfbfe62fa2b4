"""The arguments of a student's function, filled by the names of its parameters."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ...errors import MinicnnError
from .case import Case


class SignatureError(MinicnnError, TypeError):
    """A parameter that cannot be filled."""


def _conv_param(c: Case) -> dict[str, Any]:
    groups = {"groups": c.groups} if "groups" in c.settings else {}
    return {"stride": c.stride, "pad": c.padding} | groups


def _pool_param(c: Case) -> dict[str, Any]:
    height, width = c.kernel
    found = {"pool_height": height, "pool_width": width, "stride": c.stride}
    return found | ({"pad": c.padding} if c.padding else {})


def _mode(c: Case) -> str:
    return "test" if c.output == "y_test" else "train"


def _bn_param(c: Case) -> dict[str, Any]:
    return {
        "mode": _mode(c),
        "eps": c.eps,
        "momentum": c.momentum,
        "running_mean": c.running_mean.copy(),
        "running_var": c.running_var.copy(),
    }


class Square(int):
    """The length of a square window: a number that can be unpacked like a pair."""

    def __iter__(self) -> Iterator[int]:
        return iter((int(self), int(self)))

    def __getitem__(self, index: int) -> int:
        return (int(self), int(self))[index]


def _kernel(c: Case) -> Any:
    return Square(c.kernel[0]) if c.kernel[0] == c.kernel[1] else c.kernel


def _output_size(c: Case) -> Any:
    height, width = c.output_size
    return Square(height) if height == width else (height, width)


def _negative_slope(c: Case) -> float:
    return c.slope if "slope" in c.settings else c.alpha


STRIDES = {"stride", "s", "strides"}
PADDINGS = {"padding", "pad", "p_pad"}
SLOPES = {"slope", "alpha", "negative_slope", "leak", "a"}
# The dictionaries of the courses, and single values; each by the names that are in use.
VALUES: dict[str, Callable[[Case], Any]] = {
    "conv_param": _conv_param,
    "conv_params": _conv_param,
    "hparameters": _conv_param,
    "pool_param": _pool_param,
    "pool_params": _pool_param,
    "bn_param": _bn_param,
    "bn_params": _bn_param,
    **dict.fromkeys(("ln_param", "gn_param"), lambda c: {"eps": c.eps}),
    "dropout_param": lambda c: {"p": c.p, "mode": _mode(c)},
    **dict.fromkeys(STRIDES, lambda c: c.stride),
    **dict.fromkeys(PADDINGS, lambda c: c.padding),
    **dict.fromkeys(("kernel_size", "pool_size", "window", "ksize", "k_size"), _kernel),
    **dict.fromkeys(("output_size", "out_size", "output_shape", "out_shape"), _output_size),
    **dict.fromkeys(("pool_height", "kh", "HH"), lambda c: c.kernel[0]),
    **dict.fromkeys(("pool_width", "kw", "WW"), lambda c: c.kernel[1]),
    **dict.fromkeys(("eps", "epsilon"), lambda c: c.eps),
    "momentum": lambda c: c.momentum,
    "running_mean": lambda c: c.running_mean.copy(),
    "running_var": lambda c: c.running_var.copy(),
    "training": lambda c: c.output != "y_test",
    "train": lambda c: c.output != "y_test",
    "is_training": lambda c: c.output != "y_test",
    "mode": _mode,
    **dict.fromkeys(("p", "dropout_ratio", "rate", "drop_prob"), lambda c: c.p),
    "size": lambda c: c.settings["size"] if "size" in c.settings else _kernel(c),
    **dict.fromkeys(("n", "depth_radius"), lambda c: c.size),
    "dilation": lambda c: 1,
    "groups": lambda c: 1,
    **dict.fromkeys(("G", "num_groups", "n_groups", "g"), lambda c: c.groups),
    **dict.fromkeys(("scale_factor", "factor"), lambda c: c.scale),
    **dict.fromkeys(SLOPES, _negative_slope),
}
ARRAYS = {  # other names of the arrays
    **dict.fromkeys(("x", "X", "input", "inputs", "inp", "images", "scores", "z", "logits"), "x"),
    **dict.fromkeys(("w", "W", "weight", "weights", "filters", "kernel", "theta"), "w"),
    **dict.fromkeys(("b", "bias", "biases"), "b"),
    **dict.fromkeys(("gamma", "scale"), "gamma"),
    **dict.fromkeys(("beta", "shift"), "beta"),
    **dict.fromkeys(SLOPES, "alpha"),
    **dict.fromkeys(("y", "labels", "target", "targets", "t"), "labels"),
}
UPSTREAM = ("dout", "dy", "grad_output", "dz", "d_out", "upstream", "grad", "dL", "dY")


def parameters(function: Any) -> list[inspect.Parameter]:
    """The parameters of a function, without self, ctx and collecting ones."""
    found = inspect.signature(function).parameters.values()
    collecting = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [p for p in found if p.name not in ("self", "ctx", "cls") and p.kind not in collecting]


def fill(
    function: Any,
    case: Case,
    arrays: dict[str, Any],
    extra: dict[str, Any] | None = None,
    skip: int = 0,
) -> list[Any]:
    """The positional arguments for one call.

    arrays: the case's arrays as the function takes them. extra: values for names that the case
    does not have, such as `cache`. skip: parameters that are filled already.
    A parameter with a default that is unknown ends the list. Raises SignatureError.
    """
    extra = extra or {}
    filled: list[Any] = []
    for index, parameter in enumerate(parameters(function)[skip:]):
        name = parameter.name
        known = ARRAYS.get(name, name)
        if name in extra:
            filled.append(extra[name])
        elif known == "labels" and "labels" in case.settings:
            filled.append(case.labels.copy())
        elif known in arrays:
            filled.append(arrays[known])
        elif index == 0 and arrays:
            filled.append(arrays[next(iter(arrays))])  # whatever it is called, the first one is x
        elif name in case.settings and np.isscalar(case.settings[name]):
            filled.append(case.settings[name])
        elif name in VALUES:
            try:
                filled.append(VALUES[name](case))
            except AttributeError:
                if parameter.default is parameter.empty:
                    raise _unknown(function, name) from None
                break
        elif parameter.default is not parameter.empty:
            break
        else:
            raise _unknown(function, name)
    return filled


def _unknown(function: Any, name: str) -> SignatureError:
    shown = ", ".join(p.name for p in parameters(function))
    return SignatureError(
        f"{getattr(function, '__qualname__', function)}({shown}): the parameter {name!r} is not "
        "known; expected the course's names, such as (x, w, b, conv_param)"
    )
