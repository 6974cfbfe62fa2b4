"""Networks by name: `register` adds a constructor, `create` calls it.

The files in `models/` register their networks when they are imported, which `import minicnn` does.
`minicnn.models.create` does the same as `create` here and can also load weights.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any

from . import rng
from .errors import brief
from .layers import Network
from .text import hint

Build = Callable[..., Network]


@dataclass(frozen=True)
class TorchForm:
    """How a network appears in the checkpoints of torchvision's, or the usual CIFAR, code.

    names: translates a tensor's name into its name there.
    preprocess: the `data.Preprocess` that those weights were trained with; None: the recipe's.
    undecided: options that such a file does not have, and that must be given with it; each with
        a sentence about its values.
    present: translates a name in older files into the present one.
    """

    names: Callable[[str], str]
    preprocess: Any = None
    undecided: Mapping[str, str] = field(default_factory=dict)
    present: Callable[[str], str] = str


@dataclass(frozen=True)
class CaffeForm:
    """How a network appears in Caffe's files.

    parameters: about their number, by which files of other networks are told apart at once.
    names: from the dotted name of a layer to the name of Caffe's layer.
    variants: options with which the network is that of the files; the first that fits is taken.
    mean: the gray levels, of R, G and B, that were subtracted from the images of those files.
    """

    parameters: int
    names: Callable[[str], str] = str
    variants: tuple[Mapping[str, Any], ...] = ({},)
    mean: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Entry:
    """One registered network.

    build: its constructor. recipes: `training.Recipe`s by name, at least "default".
    loss: the loss it is trained with; None means softmax cross-entropy.
    torch, caffe: how it appears in torch's checkpoints and in Caffe's; None if there are none.
    """

    name: str
    build: Build
    recipes: Mapping[str, Any]
    loss: Any = None
    torch: TorchForm | None = None
    caffe: CaffeForm | None = None

    def recipe(self, name: str | None = None, data: str | None = None) -> Any:
        """The recipe `name`. Without a name: the recipe for the data set `data`, or "default".

        Raises ValueError for an unknown name.
        """
        if name is None:
            fitting = (r for r in self.recipes.values() if r.data == data)
            return next(fitting, self.recipes["default"])
        if name not in self.recipes:
            raise ValueError(
                f"{self.name} has no recipe {brief(name)}; it has {', '.join(self.recipes)}"
            )
        return self.recipes[name]

    def recipe_name(self, recipe: Any) -> str | None:
        """The name under which the network has that recipe, or None."""
        return next((name for name, own in self.recipes.items() if own == recipe), None)

    @property
    def options(self) -> list[str]:
        """The names of the constructor's arguments."""
        return list(inspect.signature(self.build).parameters)

    def default(self, option: str) -> Any:
        """The default of one of these arguments."""
        return inspect.signature(self.build).parameters[option].default

    @property
    def summary(self) -> str:
        """The first line of the constructor's docstring."""
        return (inspect.getdoc(self.build) or "").partition("\n")[0]


_entries: dict[str, Entry] = {}


def register(
    name: str,
    recipes: Mapping[str, Any],
    loss: Any = None,
    torch: TorchForm | None = None,
    caffe: CaffeForm | None = None,
) -> Callable[[Build], Build]:
    """Decorate a constructor so that `create(name)` finds it; the arguments are those of `Entry`.

    The constructor returns a `Network` with its `input_shape`, (H, W, C).
    In `models/` the networks come first and the recipes below them, so the call is at the end
    of the file: `register("lenet5", {"default": LENET5})(lenet5)`.
    """

    def decorate(build: Build) -> Build:
        if "default" not in recipes:
            raise ValueError(f"{name} has no recipe named 'default'; it has {list(recipes)}")
        _entries[name] = Entry(name, build, recipes, loss, torch, caffe)
        return build

    return decorate


def names() -> list[str]:
    """The names of all networks, in the order in which they were registered."""
    return list(_entries)


def entry(name: str) -> Entry:
    """The network registered under `name`. Raises ValueError that lists similar names."""
    if not isinstance(name, str):
        raise ValueError(f"model {brief(name)}: expected a name, such as lenet5")
    if name not in _entries:
        meant = hint(name, _entries, f"known are {', '.join(_entries)}")
        raise ValueError(f"there is no model {brief(name)}; {meant}")
    return _entries[name]


def create(
    name: str, *, seed: int | None = None, recipe: str = "default", **options: Any
) -> Network:
    """Make a network with fresh weights.

    seed: seeds the generator that draws the weights; None continues the current sequence.
    recipe: the recipe that `training.fit` will follow.
    options: arguments of the network's constructor, such as num_classes.
    The result has `name`, `options`, `recipe`, `loss` and `input_shape`.
    Raises ValueError for an unknown name, recipe or option, or a value of another kind.
    """
    found = entry(name)
    for option, value in options.items():
        if option not in found.options:
            raise ValueError(
                f"{name} has no option {brief(option)}; it has {', '.join(found.options) or 'none'}"
            )
        _check_kind(found, option, value)
    chosen = found.recipe(recipe)
    if seed is not None:
        rng.seed(seed)
    model = found.build(**options)
    model.name, model.options = name, options
    model.recipe, model.loss = chosen, found.loss
    return model


# The annotations of options, and the values that they stand for.
KINDS: dict[Any, tuple[str, type]] = {
    int: ("an integer", Integral),
    float: ("a number", Real),
    bool: ("True or False", bool),
    str: ("a text", str),
}


def _check_kind(found: Entry, option: str, value: Any) -> None:
    """Raise ValueError for a value that the annotation of the constructor's argument excludes."""
    annotation = inspect.signature(found.build).parameters[option].annotation
    if annotation not in KINDS:
        return
    expected, kind = KINDS[annotation]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{found.name}: {option}={brief(value)}: expected {expected}")
