"""Layers of minicnn as code under test: made anew for each geometry, or one layer as it is."""

import inspect
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...kernels.types import Array
from ...layers import Layer
from .arguments import SLOPES, SignatureError
from .case import NEUTRAL, Case, Operation
from .functions import quiet
from .subject import Outcome, changed, failure, to_float

# What a constructor's parameter is called -> its value in a case.
VALUES = {
    **dict.fromkeys(("in_channels", "channels", "num_features"), lambda c: c.x.shape[-1]),
    "out_channels": lambda c: c.b.shape[0],
    "in_features": lambda c: c.x.shape[1],
    "out_features": lambda c: c.w.shape[1],
    "kernel_size": lambda c: c.kernel if "kernel" in c.settings else c.w.shape[:2],
    "output_size": lambda c: c.output_size,
    "stride": lambda c: c.stride,
    "padding": lambda c: c.padding,
    "eps": lambda c: c.eps,
    "momentum": lambda c: 1 - c.momentum,  # minicnn's is the weight of the new batch
    "p": lambda c: c.p,
    "size": lambda c: c.size,
    "groups": lambda c: c.groups,
    "num_groups": lambda c: c.groups,
    "scale": lambda c: c.scale,
    "slope": lambda c: c.slope,
    "negative_slope": lambda c: c.slope,
    "alpha": lambda c: c.alpha,
    "beta": lambda c: c.settings["beta"],
    "k": lambda c: c.k,
    "activation": lambda c: "relu",
}
PARAMETERS = {  # the names under which layers keep them
    "w": ("weight", "w", "W"),
    "b": ("bias", "b"),
    "gamma": ("weight", "gamma", "scale", "gain"),
    "beta": ("bias", "beta", "shift"),
    "alpha": ("weight", "alpha", "slope", "a"),
}


@dataclass
class LayerSubject:
    """A class of layers; each case makes a layer of its geometry and sets its parameters."""

    name: str
    operation: Operation
    make: type[Layer]
    files: set[str] = field(default_factory=set)
    layout: str = "NHWC"
    absent: tuple[str, ...] = ()  # parameters that the layer does not have

    def describe(self) -> str:
        rest = f", without {' and '.join(self.absent)}" if self.absent else ""
        return f"{self.name} (a layer of minicnn, NHWC{rest})"

    def accepts(self, case: Case) -> bool:
        names = inspect.signature(self.make).parameters
        needed = {"padding": "padding", "stride": "stride"}
        wanted = {k for k, v in needed.items() if k in case.settings and v not in names}
        free = all(case.settings[k] == (k == "stride") for k in wanted)
        flat = self.operation.name != "linear" or case.x.ndim == 2
        usual = all(
            case.settings[k] == value or set(names) & SLOPES
            for k, value in self.operation.constants.items()
        )
        return free and flat and usual

    def build(self, case: Case) -> Layer:
        """The layer in float64, with the case's parameters and statistics."""
        arguments = {}
        for name, parameter in inspect.signature(self.make).parameters.items():
            known = VALUES.get(name)
            required = parameter.default is parameter.empty
            if known and (required or name not in ("activation",)):
                try:
                    arguments[name] = known(case)
                except (AttributeError, KeyError):
                    continue
        layer = self.make(**arguments).astype(np.float64)
        for array, parameter in self.parameters(layer, case).items():
            parameter.value = case.arrays[array].copy()
        for name in ("running_mean", "running_var"):
            if name in case.settings and hasattr(layer, name):
                setattr(layer, name, case.settings[name].copy())
        return layer.train(case.output != "y_test")

    def settled(self) -> "LayerSubject":
        """The subject with cases for the parameters that its layer has.

        A bias that it does not have is 0, a scale 1. Raises SignatureError for a parameter of
        another name, which would keep its own values, and for weights that are missing.
        """
        case = next(filter(self.accepts, self.operation.small()), None)
        try:
            layer = self.build(case) if case else None
        except Exception:
            return self  # the rows will have this failure
        if case is None or layer is None:
            return self
        found, own = self.parameters(layer, case), dict(layer.named_parameters())
        unknown = [n for n, p in own.items() if all(p is not q for q in found.values())]
        missing = [name for name in case.arrays if name != "x" and name not in found]
        absent = tuple(name for name in missing if name in NEUTRAL)
        if unknown or len(absent) < len(missing):
            names = [n for array in case.arrays for n in PARAMETERS.get(array, ())]
            raise SignatureError(
                f"{self.name}: its parameters are called {', '.join(own) or '(none)'}; "
                f"expected {', '.join(names) or 'none'}"
            )
        return replace(self, operation=self.operation.without(absent), absent=absent)

    def parameters(self, layer: Layer, case: Case) -> dict[str, Any]:
        """The layer's parameters by the case's names for them."""
        own = dict(layer.named_parameters())
        found = {}
        for array in case.arrays:
            name = next((n for n in PARAMETERS.get(array, ()) if n in own), None)
            if name is not None:
                found[array] = own[name]
        return found

    def run(self, case: Case) -> Outcome:
        outcome = Outcome()
        stage = "forward"
        try:
            layer = self.build(case)
            x, dy = case.x.copy(), case.dy.copy()
            with quiet():
                y = layer(x)
            outcome.results[case.output] = to_float(y).copy()
            outcome.effects += changed({"x": case.x}, {"x": x}, "forward")
            if case.output != "y":
                return outcome
            for name in ("running_mean", "running_var"):
                if name in case.settings and hasattr(layer, name):
                    outcome.results[name] = np.array(getattr(layer, name))
            if np.shape(y) != dy.shape:
                return outcome
            stage = "backward"
            self._backward(layer, case, x, dy, outcome)
        except Exception as error:
            outcome.failures[stage] = failure(error, self.files)
        return outcome

    def _backward(self, layer: Layer, case: Case, x: Array, dy: Array, outcome: Outcome) -> None:
        layer.zero_grad()
        with quiet():
            dx = layer.backpropagate(dy)
        if dx is not None:
            outcome.results["dx"] = to_float(dx).copy()
        outcome.effects += changed({"x": case.x, "dy": case.dy}, {"x": x, "dy": dy}, "backward")
        first = {n: p.grad.copy() for n, p in self.parameters(layer, case).items()}
        outcome.results |= {f"d{name}": grad for name, grad in first.items()}
        if first and not self.operation.is_random:
            with quiet():
                layer(x)
                layer.backpropagate(dy)
            for name, parameter in self.parameters(layer, case).items():
                if first[name].any() and np.allclose(parameter.grad, first[name]):
                    outcome.effects.append(
                        f"the gradient of {name} is set, not added: use add_grad"
                    )

    def output(self, case: Case) -> Array | None:
        try:
            with quiet():
                return to_float(self.build(case)(case.x.copy()))
        except Exception:
            return None

    def interleaved(self, case: Case, other: Case) -> Outcome | None:
        return None  # a layer saves for the last forward only


# -- a layer of an operation of its own ------------------------------------------------------------


SIZE = 3  # of channels and features, where a constructor asks for them
COUNTS = ("channels", "features", "units", "size", "dim", "width")


@dataclass
class OwnLayer:
    """A class of layers without a definition here, compared with finite differences."""

    name: str
    kind: type[Layer]

    def make(self) -> Layer | None:
        """One layer, if its constructor asks for nothing but numbers of channels or features."""
        required = [
            p
            for p in inspect.signature(self.kind).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if not all(p.name.endswith(COUNTS) for p in required):
            return None
        try:
            return self.kind(**{p.name: SIZE for p in required})
        except Exception:
            return None


def input_for(layer: Layer, generator: np.random.Generator) -> Array:
    """An input that the layer takes: images or rows, with a width that its parameters suggest.

    Its output is finite: for a logarithm the input is positive.
    Raises ValueError if none is found, with what the layer gave for the first one.
    """
    widths = [3, *(n for p in layer.parameters() for n in p.value.shape), 8]
    given = ""
    for shape in [s for width in widths for s in ((3, 6, 5, width), (4, width))]:
        x = generator.standard_normal(shape)
        x = np.where(np.abs(x) < 0.05, 0.5, x)  # away from kinks at 0
        for candidate in (x, np.abs(x)):
            try:
                with quiet():
                    y = layer(candidate)
            except Exception as error:
                given = given or f"{shape} gives {failure(error, set())}"
                break
            if not isinstance(y, np.ndarray):
                given = given or f"{shape} gives {type(y).__name__}, not an array"
                break
            if np.isfinite(y).all():
                return candidate
            given = given or f"{shape} gives NaN or infinity"
    raise ValueError(
        f"{type(layer).__name__}: no input was found that it takes: {given}; "
        "study.check(layer, x=...) takes one of yours"
    )
