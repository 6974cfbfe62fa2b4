"""Pairs of functions, static methods, and autograd Functions of torch as code under test."""

import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from dataclasses import dataclass, field
from io import StringIO
from typing import Any, Self

import numpy as np

from ...kernels.types import Array
from .arguments import ARRAYS, PADDINGS, SLOPES, STRIDES, UPSTREAM, SignatureError, fill, parameters
from .case import NEUTRAL, Case, Operation
from .subject import (
    Failure,
    Outcome,
    changed,
    failure,
    from_layout,
    shape_of,
    to_float,
    to_layout,
)


@dataclass
class Pair:
    """A forward and a backward function, as courses have them.

    forward(x, w, b, conv_param) -> out, cache; backward(dout, cache) -> dx, dw, db. A loss is one
    function, (x, y) -> loss, dx. layout: a key of `LAYOUTS`; framework: "numpy" or "torch".
    """

    name: str
    operation: Operation
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None = None
    layout: str = "NCHW"
    framework: str = "numpy"
    files: set[str] = field(default_factory=set)
    absent: tuple[str, ...] = ()  # arrays that forward does not take

    def fitted(self) -> Self:
        """The pair with cases for the arrays that forward takes: without a bias it is 0."""
        taken = {ARRAYS.get(p.name, p.name) for p in parameters(self.forward)[1:]}
        other, arrays = copy(self), self.operation.small()[0].arrays
        other.absent = tuple(name for name in arrays if name in NEUTRAL and name not in taken)
        other.operation = self.operation.without(other.absent)
        return other

    def describe(self) -> str:
        layout = f", {self.layout}" if self.operation.images else ""
        layout += f", without {' and '.join(self.absent)}" if self.absent else ""
        names = [self.forward.__name__] + ([self.backward.__name__] if self.backward else [])
        if names[0] == "forward":
            names = [self.name]
        return f"{' and '.join(names)} ({self.framework}{layout})"

    def wrap(self, name: str, array: Array) -> Any:
        """An array as the functions take it: a fresh copy."""
        own = to_layout(self.operation, name, array, self.layout)
        return sys.modules["torch"].from_numpy(own) if self.framework == "torch" else own

    def unwrap(self, name: str, value: Any) -> Array:
        """A result in minicnn's layout."""
        return from_layout(self.operation, name, to_float(value), self.layout)

    def run(self, case: Case) -> Outcome:
        outcome = Outcome()
        kept = self.run_forward(case, outcome)
        self.run_backward(case, kept, outcome)
        return outcome

    def output(self, case: Case) -> Array | None:
        outcome = Outcome()
        self.run_forward(case, outcome)
        return outcome.results.get(case.output)

    def interleaved(self, case: Case, other: Case) -> Outcome | None:
        if self.backward is None:
            return None
        outcome = Outcome()
        kept = self.run_forward(case, outcome)
        self.run_forward(other, Outcome())
        self.run_backward(case, kept, outcome)
        return outcome

    def accepts(self, case: Case) -> bool:
        """False for a padding or stride that forward does not take.

        The dictionary of a convolution has both; of a pooling it has a padding if forward reads it.
        """
        names = {p.name for p in parameters(self.forward)}
        has_record = any(name.endswith(("_param", "_params", "parameters")) for name in names)
        is_pool = "kernel" in case.settings
        if case.settings.get("padding") and not names & PADDINGS:
            read = re.search(r"""["']pad(ding)?["']""", _source(self.forward))
            if not (has_record and (read or not is_pool)):
                return False
        usual = self.operation.constants.items()
        if not names & SLOPES and any(case.settings[k] != value for k, value in usual):
            return False
        if "stride" in case.settings and not names & STRIDES and not has_record:
            return case.kernel == (case.stride,) * 2 if is_pool else case.stride == 1
        return True

    def run_forward(self, case: Case, outcome: Outcome) -> dict[str, Any]:
        """Call forward; the result is what backward may ask for by name."""
        arrays = {name: self.wrap(name, a) for name, a in case.arrays.items()}
        before = {name: to_float(a).copy() for name, a in arrays.items()}
        kept: dict[str, Any] = {"arrays": arrays}
        try:
            arguments = [self._native(a) for a in fill(self.forward, case, self._convert(arrays))]
            with quiet():
                returned = self.forward(*arguments)
        except SignatureError:
            raise
        except Exception as error:
            outcome.failures["forward"] = failure(error, self.files)
            return kept
        outcome.effects += changed(before, arrays, "forward")
        if self.operation.name.endswith("_loss"):
            self._take_loss(case, returned, outcome)
            return kept
        y, kept["cache"] = returned if _is_pair(returned) else (returned, None)
        if y is None:
            outcome.missing.append("forward")
            return kept
        if isinstance(y, tuple):
            text = f"forward returns {len(y)} values; expected two, the output and a cache"
            outcome.failures["forward"] = Failure(text)
            return kept
        outcome.results[case.output] = self.unwrap("y", y)
        kept["y"] = y
        statistics = [a for a in arguments if isinstance(a, dict) and "running_mean" in a]
        for record in statistics if case.output == "y" else []:
            for name in ("running_mean", "running_var"):
                shape = case.settings[name].shape
                value = to_float(record[name])
                outcome.results[name] = value.reshape(shape) if value.size == shape[0] else value
        return kept

    def _native(self, argument: Any) -> Any:
        """For torch a dictionary with tensors for its arrays, such as the running statistics."""
        if self.framework != "torch" or not isinstance(argument, dict):
            return argument
        tensor = sys.modules["torch"].from_numpy
        return {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in argument.items()}

    def _convert(self, arrays: dict[str, Any]) -> dict[str, Any]:
        return arrays

    def _take_loss(self, case: Case, returned: Any, outcome: Outcome) -> None:
        if not _is_pair(returned) or returned[0] is None:
            outcome.missing.append("forward")
            return
        outcome.results["loss"] = to_float(returned[0])
        if returned[1] is None:
            outcome.missing.append("backward")
        else:
            outcome.results["dx"] = to_float(returned[1])

    def run_backward(self, case: Case, kept: dict[str, Any], outcome: Outcome) -> None:
        """Call backward with dy, if the output has its shape; keep the gradients in order."""
        if case.output != "y" or shape_of(outcome.results, "y") != case.dy.shape:
            return
        if self.backward is None:
            outcome.missing.append("backward")
            return
        dy = self.wrap("dy", case.dy)
        before = to_float(dy).copy()
        arrays = kept["arrays"]
        saved = {name: to_float(a).copy() for name, a in arrays.items()}
        try:
            extra = {"cache": kept["cache"], "y": kept["y"], "out": kept["y"]}
            own = [p.name for p in parameters(self.backward) if p.default is p.empty]
            if len(own) == 2 and (kept["cache"] is not None or own[1] not in ARRAYS):
                arguments = [dy, kept["cache"]]
            else:
                upstream = dict.fromkeys(UPSTREAM, dy)
                arguments = fill(self.backward, case, self._convert(arrays), extra | upstream)
            with quiet():
                returned = self.backward(*arguments)
        except SignatureError:
            raise
        except Exception as error:
            outcome.failures["backward"] = failure(error, self.files)
            return
        outcome.effects += changed({"dout": before}, {"dout": dy}, "backward")
        outcome.effects += changed(saved, arrays, "backward")
        self.take_gradients(returned, outcome)

    def take_gradients(self, returned: Any, outcome: Outcome) -> None:
        """Keep what backward returned, by the names of the operation's gradients."""
        names = self.operation.gradients
        values = returned if isinstance(returned, tuple | list) else (returned,)
        if all(v is None for v in values):
            outcome.missing.append("backward")
        for name, value in zip(names, values, strict=False):
            if value is not None:
                outcome.returned[name] = to_float(value)
                outcome.results[name] = self.unwrap(name, value)


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""


def _is_pair(returned: Any) -> bool:
    return isinstance(returned, tuple) and len(returned) == 2


@contextmanager
def quiet() -> Iterator[None]:
    """A context in which the code under test may print and warn without a trace."""
    nowhere = StringIO()
    with (
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        np.errstate(all="ignore"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


class AutogradFunction(Pair):
    """A `torch.autograd.Function`: torch calls its backward."""

    def __init__(
        self, name: str, operation: Operation, function: Any, layout: str, files: set[str]
    ):
        super().__init__(name, operation, function.forward, None, layout, "torch", files)
        self.function = function

    def interleaved(self, case: Case, other: Case) -> Outcome | None:
        return None

    def accepts(self, case: Case) -> bool:
        return case.output == "y" and super().accepts(case)

    def describe(self) -> str:
        rest = f", without {' and '.join(self.absent)}" if self.absent else ""
        return f"{self.name} (torch.autograd.Function, {self.layout}{rest})"

    def run(self, case: Case) -> Outcome:
        outcome = Outcome()
        arrays = {name: self.wrap(name, a) for name, a in case.arrays.items()}
        before = {name: to_float(a).copy() for name, a in arrays.items()}
        for tensor in arrays.values():
            tensor.requires_grad_(True)
        try:
            y = self.function.apply(*fill(self.function.forward, case, arrays))
        except SignatureError:
            raise
        except Exception as error:
            outcome.failures["forward"] = failure(error, self.files)
            return outcome
        outcome.results["y"] = self.unwrap("y", y)
        outcome.effects += changed(before, arrays, "forward")
        if y.shape != self.wrap("dy", case.dy).shape:
            return outcome
        try:
            y.backward(self.wrap("dy", case.dy))
        except Exception as error:
            outcome.failures["backward"] = failure(error, self.files)
            return outcome
        for name in self.operation.gradients:
            gradient = arrays[name.removeprefix("d")].grad
            if gradient is not None:
                outcome.results[name] = self.unwrap(name, gradient)
            else:
                outcome.missing.append(name)
        return outcome
