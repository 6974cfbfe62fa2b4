"""Networks by name. A file in `models/` registers its constructors with `@register`; `create` makes one.

Models stand above the engine: nothing here imports one, they are looked up by name when the first is asked for.
"""

import difflib
import importlib
import inspect
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from . import rng
from .layers import Network
from .layers.init import skip_init


@dataclass(frozen=True)
class Entry:
    """One registered network.

    build: its constructor. recipes: by name, with at least "default". loss: None is softmax cross-entropy.
    torch_names: translates a tensor's name here to its name in torchvision's (or the usual CIFAR) checkpoints, None if there are none.
    """

    name: str
    build: Callable[..., Network]
    recipes: dict[str, Any]
    loss: Any = None
    torch_names: Callable[[str], str] | None = None

    def recipe(self, name: str | None = None, data: str | None = None):
        """The recipe of that name; without one, the recipe made for that data set, or "default". Raises ValueError for an unknown name."""
        if name is None:
            return next(
                (r for r in self.recipes.values() if r.data == data), self.recipes["default"]
            )
        if name not in self.recipes:
            raise ValueError(
                f"{self.name} has no recipe {name!r}; it has {', '.join(self.recipes)}"
            )
        return self.recipes[name]

    @property
    def options(self) -> list[str]:
        """The names of the constructor's options."""
        return list(inspect.signature(self.build).parameters)

    @property
    def summary(self) -> str:
        """The first line of the constructor's docstring."""
        return (inspect.getdoc(self.build) or "").partition("\n")[0]


_entries: dict[str, Entry] = {}


def register(
    name: str, recipes: dict[str, Any], loss=None, torch_names: Callable[[str], str] | None = None
):
    """Decorate a constructor so that `create(name)` finds it.

    The constructor returns a `Network` and sets its `input_shape`, (H, W, C). `recipes` holds at least "default".
    """

    def decorate(build):
        _entries[name] = Entry(name, build, recipes, loss, torch_names)
        return build

    return decorate


def names() -> list[str]:
    """The names of all networks."""
    importlib.import_module("minicnn.models")
    return list(_entries)


def entry(name: str) -> Entry:
    """What is registered under that name. Raises ValueError for an unknown one, with the nearest known."""
    known = names()
    if name not in _entries:
        near = difflib.get_close_matches(name, known, 3)
        raise ValueError(
            f"there is no model {name!r}; {'did you mean' if near else 'known are'} {', '.join(near or known)}"
        )
    return _entries[name]


def create(
    name: str,
    *,
    seed: int | None = None,
    recipe: str = "default",
    weights=None,
    sha256: str | None = None,
    **options,
) -> Network:
    """Make a network by its name, with fresh weights or with those of a file.

    seed: governs the initial weights; None goes on with the current generator (`minicnn.seed`).
    recipe: which of the network's recipes `training.fit` shall follow. options: the constructor's, such as num_classes.
    weights: a path or URL of a safetensors file, or of a torch checkpoint (.pth, .pt) with torchvision's names. sha256: its checksum;
    a URL needs one unless, like torchvision's, the file's name carries its beginning (resnet50-0676ba61.pth).
    The result has `name`, `options`, `recipe`, `loss` and `input_shape`.
    Raises ValueError for unknown names and options, CheckpointError or DataError for weights that cannot be had or do not fit.
    """
    found = entry(name)
    for option in options:
        if option not in found.options:
            raise ValueError(
                f"{name} has no option {option!r}; it has {', '.join(found.options) or 'none'}"
            )
    if seed is not None:
        rng.seed(seed)
    chosen = found.recipe(recipe)
    with skip_init() if weights is not None else nullcontext():
        model = found.build(**options)
    model.name, model.options = name, options
    model.recipe, model.loss = chosen, found.loss
    if weights is not None:
        from .weights.pretrained import load_into  # it imports this module

        load_into(model, weights, sha256)
    return model
