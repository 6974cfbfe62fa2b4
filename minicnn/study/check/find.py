"""Load a student's file, and find in it what can be checked, by name."""

import ast
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard

from ...errors import DataError
from ...layers import Layer
from .functions import AutogradFunction, Pair
from .operations import OPERATIONS
from .own_layers import LayerSubject, OwnLayer
from .subject import Subject

NAMES = {  # without "forward", "naive" and the like, lower case, without underscores
    **dict.fromkeys(("conv", "conv2d", "convolution", "convolution2d", "convolve"), "conv2d"),
    **dict.fromkeys(
        ("groupedconv", "groupconv", "groupedconv2d", "groupconv2d", "convgrouped", "convgroups"),
        "grouped_conv2d",
    ),
    **dict.fromkeys(
        ("depthwiseconv", "depthwiseconv2d", "convdepthwise", "dwconv"), "depthwise_conv2d"
    ),
    **dict.fromkeys(
        ("convtranspose", "convtranspose2d", "transposedconv", "transposedconv2d", "deconv"),
        "conv_transpose2d",
    ),
    **dict.fromkeys(
        ("globalavgpool", "globalavgpool2d", "globalaveragepool", "globalaveragepooling", "gap"),
        "global_avg_pool2d",
    ),
    **dict.fromkeys(("upsample", "upsample2d", "upsampling", "upsamplenearest"), "upsample2d"),
    **dict.fromkeys(
        ("upsamplebilinear", "bilinearupsample", "bilinearupsampling", "bilinear"),
        "upsample_bilinear2d",
    ),
    **{
        f"adaptive{name}pool{rest}": f"adaptive_{kind}_pool2d"
        for name, kind in (("avg", "avg"), ("average", "avg"), ("max", "max"))
        for rest in ("", "2d", "ing", "ing2d")
    },
    **dict.fromkeys(("maxpool", "maxpool2d", "maxpooling", "maxpooling2d", "pool"), "max_pool2d"),
    **dict.fromkeys(
        ("avgpool", "avgpool2d", "averagepool", "averagepool2d", "averagepooling", "meanpool"),
        "avg_pool2d",
    ),
    **dict.fromkeys(("batchnorm", "bn", "batchnormalization", "batchnorm1d"), "batch_norm"),
    **dict.fromkeys(
        ("spatialbatchnorm", "batchnorm2d", "spatialbn", "spatialbatchnormalization"),
        "spatial_batch_norm",
    ),
    **dict.fromkeys(("layernorm", "ln", "layernormalization"), "layer_norm"),
    **dict.fromkeys(
        ("spatialgroupnorm", "groupnorm", "groupnorm2d", "gn", "groupnormalization"), "group_norm"
    ),
    **dict.fromkeys(
        ("lrn", "localresponsenorm", "localresponsenormalization"), "local_response_norm"
    ),
    **dict.fromkeys(("affine", "linear", "fc", "fullyconnected", "dense"), "linear"),
    **{name: name for name in ("relu", "relu6", "prelu", "elu", "gelu", "sigmoid", "tanh")},
    **dict.fromkeys(("leakyrelu", "lrelu"), "leaky_relu"),
    **dict.fromkeys(("silu", "swish"), "silu"),
    **dict.fromkeys(("hardswish", "hswish"), "hard_swish"),
    "dropout": "dropout",
    **dict.fromkeys(("softmaxloss", "softmaxcrossentropy", "crossentropyloss"), "softmax_loss"),
    **dict.fromkeys(("svmloss", "hingeloss"), "svm_loss"),
}
UNKNOWN = "no definition has this name"  # why something is not checked
CONSTRUCTOR = "the constructor takes more than numbers of channels, or cannot be called"
NOISE = re.compile(
    r"forward|backward|naive|fast|im2col|col2im|einsum|tensordot|loops?|strides|vectori[sz]ed|cython"
    r"|numpy|function|layer|alt|_|my"
)


def operation_named(name: str) -> str | None:
    """The operation that a function or class of that name computes; None if it is none of ours."""
    if "layernorm" in name.lower().replace("_", ""):  # of which NOISE would leave "norm"
        return NAMES["layernorm"]
    return NAMES.get(NOISE.sub("", name.lower()))


def load_module(path: Path) -> tuple[ModuleType, list[str]]:
    """The file as a module, and remarks. Raises DataError with one sentence.

    Modules that it imports and that are not here, such as a course's helpers, become empty ones.
    """
    try:
        source = path.read_bytes()
        tree = ast.parse(source, str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise DataError(f"{path.name}{line}: {text}") from None
    folder = str(path.parent.resolve())
    sys.path.insert(0, folder)
    remarks = _replace_missing(tree)
    package = ModuleType("submission")
    package.__path__ = [folder]  # so that `from .im2col import ...` finds its neighbor
    sys.modules["submission"] = package
    name = f"submission.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        from .subject import failure

        raise DataError(f"{path.name} cannot be imported: {failure(error, {str(path)})}") from None
    return module, remarks


class _Missing:
    """What an empty module offers under any name."""

    def __init__(self, *_: Any, **__: Any):
        raise ImportError("this comes from a module that is not here")


class _Placeholder(ModuleType):
    __all__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return range if name == "xrange" else _Missing


def _replace_missing(tree: ast.Module) -> list[str]:
    """Put empty modules in the place of those that the file needs and that are not here."""
    remarks = []
    for node in tree.body:  # not those within `try`: these are optional
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        for name in names:
            parts = name.split(".")
            if parts[0] in ("torch", "numpy", "minicnn") or _is_here(name):
                continue
            for length in range(1, len(parts) + 1):
                part = ".".join(parts[:length])
                if part not in sys.modules:
                    placeholder = _Placeholder(part)
                    placeholder.__path__ = []  # type: ignore[attr-defined]
                    sys.modules[part] = placeholder
            remarks.append(f"The module {name} is not here; what the file takes from it is empty.")
    return remarks


def _is_here(name: str) -> bool:
    try:
        return name in sys.modules or importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def find_subjects(module: ModuleType, path: Path) -> tuple[list[Subject | OwnLayer], list[str]]:
    """What can be checked in the module, in the order of the file, and remarks on the rest."""
    found: list[tuple[int, Subject | OwnLayer]] = []
    skipped: dict[str, list[str]] = {}  # names by the reason
    own: dict[str, Any] = {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__
    }
    frameworks = "torch" if isinstance(vars(module).get("torch"), ModuleType) else "numpy"
    files = {str(path)}
    for name, value in own.items():
        line = _line(value)
        if inspect.isclass(value):
            if name != value.__name__ and own.get(value.__name__) is value:
                continue  # another name of a class that is checked under its own
            subject = _from_class(name, value, frameworks, files)
            if subject:
                found.append((line, subject))
            elif _is_layer(value) and OwnLayer(name, value).make() is not None:
                found.append((line, OwnLayer(name, value)))
            elif hasattr(value, "forward") and hasattr(value, "backward"):
                reason = CONSTRUCTOR if _is_layer(value) else UNKNOWN
                skipped.setdefault(reason, []).append(name)
            continue
        if not (callable(value) and hasattr(value, "__name__")):  # a function, compiled or not
            continue
        operation = operation_named(name)
        if operation and operation.endswith("_loss"):
            pair = Pair(name, OPERATIONS[operation], value, None, "NCHW", frameworks, files)
            found.append((line, pair))
        elif "forward" in name and operation:
            for title, backward in _partners(name, own):
                pair = Pair(
                    title, OPERATIONS[operation], value, backward, "NCHW", frameworks, files
                )
                found.append((line, pair))
        elif "forward" in name:
            skipped.setdefault(UNKNOWN, []).append(name)
    remarks = [f"Not checked, because {why}: {', '.join(names)}." for why, names in skipped.items()]
    return [subject for _, subject in sorted(found, key=lambda p: p[0])], remarks


def _line(value: Any) -> int:
    try:
        return inspect.getsourcelines(value)[1]
    except (OSError, TypeError):
        return 0


def title_of(forward: str) -> str:
    """`conv_forward_naive` -> `conv_naive`: the name of the pair."""
    return forward.replace("_forward", "").replace("forward", "").strip("_") or forward


def _partners(forward: str, own: dict[str, Any]) -> list[tuple[str, Any]]:
    """The backward functions of a forward: with the same name, and its alternatives."""
    start = forward.replace("forward", "backward")
    names = [n for n in own if n == start or n.startswith(f"{start}_")]
    names = [n for n in names if n == start or n.replace("backward", "forward") not in own]
    title = title_of(forward)
    if not names:
        return [(title, None)]
    return [(title + n.removeprefix(start), own[n]) for n in names]


def _from_class(name: str, kind: Any, framework: str, files: set[str]) -> Subject | None:
    operation = layer_operation(kind) if _is_layer(kind) else operation_named(name)
    if operation is None:
        return None
    if _is_layer(kind):
        return LayerSubject(name, OPERATIONS[operation], kind, files)
    torch = sys.modules.get("torch")
    if torch is not None and issubclass(kind, torch.autograd.Function):
        return AutogradFunction(name, OPERATIONS[operation], kind, "NCHW", files)
    static = [inspect.getattr_static(kind, part, None) for part in ("forward", "backward")]
    if all(isinstance(s, staticmethod) for s in static):
        return Pair(
            name, OPERATIONS[operation], kind.forward, kind.backward, "NCHW", framework, files
        )
    return None


def _is_layer(kind: Any) -> TypeGuard[type[Layer]]:
    return inspect.isclass(kind) and issubclass(kind, Layer)


def layer_operation(kind: type[Layer]) -> str | None:
    """The operation of a class of layers, by its name.

    What it derives from does not decide: `LeakyReLU(ReLU)` is another operation.
    """
    found = operation_named(kind.__name__)
    return "spatial_batch_norm" if found == "batch_norm" else found
