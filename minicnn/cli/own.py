"""Networks of one's own on the command line: `my_net.py:make` names a function in a file.

`net.safetensors` names the network that a file describes, such as one from an ONNX file.

The file of a function is executed, like a script, because the user names it; a checkpoint only
holds the name, and nothing is executed on its behalf.
"""

import importlib.util
import inspect
import math
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import registry
from ..data.transforms import Preprocess
from ..layers import Network, Sequential, metadata
from ..layers.init import skip_init
from ..text import hint
from ..training.recipe import DEFAULTS
from ..weights import safetensors
from ..weights.description import describe, make, with_classes

FILE = ".safetensors"
OF_OTHERS = (".onnx", ".caffemodel")  # files that `minicnn convert` reads
# The recipe of a network that a file describes; it does not say on which images it is trained.
OF_FILE = replace(DEFAULTS, data="images of its own")
FORM = re.compile(r"(?P<file>.+\.py):(?P<function>\w+)")


def find_entry(model: str, options: dict[str, Any] | None = None) -> registry.Entry:
    """The network of that name; `FILE.py:FUNCTION` and FILE.safetensors are registered first.

    options: with which the function is called once, for the recipe and the loss of its network.
    Raises ValueError for an unknown name, a file of another kind, one that cannot be executed, a
    function that does not exist, and one that returns no Network or Sequential.
    """
    if model.endswith(FILE):
        return _entry_in_file(model)
    if model.endswith(OF_OTHERS):
        raise ValueError(f"{model}: expected a {FILE} file; `minicnn convert {model}` writes one")
    if ".py" not in model:
        if Path(model).exists() and model not in registry.names():
            raise ValueError(
                f"{model}: expected the name of a network, FILE.py:FUNCTION, or a {FILE} file"
            )
        return registry.entry(model)
    match = FORM.fullmatch(model)
    if match is None:
        file = Path(model.partition(":")[0]).name
        raise ValueError(f"{model}: expected FILE.py:FUNCTION, such as {file}:make")
    path = Path(match["file"])
    build = _checked(model, _function(path, match["function"]))
    with skip_init():
        network = build(**options or {})
    recipe = network.recipe or DEFAULTS
    if recipe.preprocess is None:
        recipe = replace(recipe, preprocess=_preprocess(network))
    registry.register(model, {"default": recipe}, loss=network.loss)(build)
    return registry.entry(model)


def short_name(model: str) -> str:
    """The network's name in that of a folder: `nets/my_net.py:make` is my_net-make."""
    if model.endswith(FILE):
        return Path(model).stem
    match = FORM.fullmatch(model)
    return f"{Path(match['file']).stem}-{match['function']}" if match else model


def _entry_in_file(path: str) -> registry.Entry:
    """The network that a file describes, or the registered one that it names.

    Raises ValueError for a file that names no network.
    """
    shapes, about = safetensors.read_header(path)
    graph = safetensors.graph_in(path, about, sum(map(math.prod, shapes.values())))
    if graph is None:
        name = safetensors.name_in(path, about)
        raise ValueError(f"{path} has weights of {name}: expected {name} --weights {path}")
    layers = describe(graph)
    assert layers is not None  # as it was made from one
    *_, classes = graph.output_shape((1, *graph.input_shape))

    def build(num_classes: int = classes) -> Network:
        network = make(with_classes(layers, num_classes))
        network.input_shape = graph.input_shape
        found = network.output_shape((1, *network.input_shape))[-1]
        if found != num_classes:
            raise ValueError(f"{path}: its outputs are {found}, whatever num_classes is")
        return network

    preprocess = graph.preprocess or _preprocess(graph)
    registry.register(path, {"default": replace(OF_FILE, preprocess=preprocess)})(build)
    return registry.entry(path)


def _preprocess(network: Network) -> Preprocess:
    """From pixels to -2 ... 2, for a recipe that does not say how."""
    height, width, channels = network.input_shape
    return Preprocess((height, width), channels, mean=0.5, std=0.25)


def _function(path: Path, name: str) -> Callable[..., Any]:
    module = _execute(path)
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            n for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__
        ]
        meant = hint(name, own, f"it has {', '.join(own) or 'none'}")
        raise ValueError(f"{path} has no function {name!r}; {meant}")
    return function


def _execute(path: Path) -> ModuleType:
    """The module in a file, which may import its neighbors."""
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    name = f"own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # as the name ends with .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path}{_line_in(path, error)}: {_sentence(error)}") from error
    return module


def _checked(model: str, function: Callable[..., Any]) -> Callable[..., Network]:
    """The function, with its errors and its result made into what the other networks have."""

    found = inspect.signature(function).parameters.get("num_classes")
    # `summary` has no data that would give the number of classes.
    defaults = {"num_classes": 10} if found and found.default is found.empty else {}

    @wraps(function)
    def build(**options: Any) -> Network:
        try:
            network = function(**defaults | options)
        except Exception as error:
            where = _line_in(Path(inspect.getfile(function)), error)
            raise ValueError(f"{model}{where}: {_sentence(error)}") from error
        if type(network) is Sequential:
            about = metadata(network)
            network = Network(**network._layers, input_shape=network.input_shape)
            network.recipe, network.loss = about.recipe, about.loss
        if not isinstance(network, Network):
            raise ValueError(
                f"{model} returned {type(network).__name__}; "
                "expected a minicnn.layers.Network or Sequential"
            )
        if len(network.input_shape) != 3:
            raise ValueError(
                f"{model} returned a network with input_shape={network.input_shape}; "
                "expected input_shape=(H, W, C)"
            )
        return network

    return build


def _sentence(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    return f"{type(error).__name__}: {error}"


def _line_in(path: Path, error: Exception) -> str:
    """`, line 7`: the last line of the file in the error's traceback."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if Path(f.filename).resolve() == path.resolve()]
    return f", line {lines[-1]}" if lines else ""
