"""The application: options that several commands share, the two consoles, and how errors end."""

import io
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from typer.core import TyperGroup

from .. import __version__, data, registry, weights
from ..device import DEVICES, PRECISIONS, set_precision, validate_device
from ..distributed.faults import end_all, report_kills
from ..distributed.launch import Launch, choose_gpu, found_launch
from ..errors import MinicnnError
from ..kernels import dispatch
from ..layers import Network
from .own import OF_FILE, find_entry

# The order of the help; other commands come last.
ORDER = (
    "train",
    "evaluate",
    "predict",
    "compare",
    "results",
    "lr-find",
    "data",
    "models",
    "summary",
    "profile",
    "explore",
)


class Commands(TyperGroup):
    """The commands in the order in which a user meets them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all commands."""
        return sorted(self.commands, key=lambda name: (*ORDER, name).index(name))


app = typer.Typer(
    cls=Commands,
    help="Convolutional networks written out by hand: train, measure and inspect them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Without markup, because file and class names are printed as they are, brackets included.
console = Console(highlight=False, markup=False, emoji=False)
error_console = Console(stderr=True, highlight=False, markup=False, emoji=False)


def device_name(text: str) -> str:
    """The device that `--device TEXT` means; "gpu" is another word for "cuda"."""
    return "cuda" if text == "gpu" else text


BATCH = "--batch-size", "--batch"  # either name, in every command
OptionFlags = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="An option of the network, as key=value; repeatable."),
]
ModelFlag = Annotated[
    str | None,
    typer.Option(
        "--model", help="The network of the file, if it is one of your own: FILE.py:FUNCTION."
    ),
]
DataFlag = Annotated[
    str | None,
    typer.Option(
        "--data",
        help=f"{', '.join(data.NAMES)}, or a folder, tar or zip file: IDX, CIFAR, class folders.",
    ),
]
BackendFlag = Annotated[
    str | None,
    typer.Option(help=f"One of {', '.join(dispatch.BACKENDS)}; by default the fastest available."),
]
DeviceFlag = Annotated[
    str,
    typer.Option(
        callback=device_name,
        help=f"Where to compute: {' or '.join(DEVICES)} (an NVIDIA GPU; also called gpu).",
    ),
]
PrecisionFlag = Annotated[
    str | None,
    typer.Option(
        help=f"How to multiply: {', '.join(PRECISIONS)}; fp32 by default. A CPU has fp32, and "
        "bf16 if its processor has avx512_bf16."
    ),
]


@app.callback(invoke_without_command=True)
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        console.print(f"minicnn {__version__}")


def main() -> None:
    """Run the command line: an error is one sentence and exit code 2, a traceback with --debug."""
    arguments = sys.argv[1:]
    debug = "--debug" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a class name may not exist in the code page
    warnings.showwarning = _show_warning
    launch = found_launch()
    if launch:
        _begin(launch)
    try:
        app([a for a in arguments if a != "--debug"])
    except KeyboardInterrupt:
        sys.exit(130)
    except (MinicnnError, ValueError, ImportError, OSError, RuntimeError, MemoryError) as error:
        if debug:
            traceback.print_exc()
        text = _sentence(error)
        hint = "" if debug else "  (--debug shows the traceback)"
        if launch:
            end_all(launch, text + hint)
        error_console.print(f"minicnn: {text}{hint}", soft_wrap=True)
        sys.exit(2)


def _sentence(error: BaseException) -> str:
    """What an error says; one of the system's without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def _begin(launch: Launch) -> None:
    """Begin as one of several processes, of which only the first one prints."""
    report_kills(launch)
    choose_gpu(launch)
    if launch.rank:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _show_warning(message: Any, *rest: Any, **more: Any) -> None:
    error_console.print(f"warning: {message}", soft_wrap=True)


def choose_compute(backend: str | None, device: str, precision: str | None) -> None:
    """Select the backend, the device and its precision. Raises if one of them is not available."""
    validate_device(device)
    if precision is not None:
        if device == "cpu" and precision in ("tf32", "ffma"):
            raise ValueError(f"--precision {precision} is for a GPU: add --device cuda")
        set_precision(precision)
    dispatch.use(backend)


def load_network(path: str | Path, device: str = "cpu", model: str | None = None) -> Network:
    """The network that was saved in a .safetensors file, on that device; its name, or the file's.

    model: `--model`, a network by name to make in place of the one that the file names.
    Raises ValueError for the name of a network in place of a file.
    """
    if str(path) in registry.names() and not Path(path).exists():
        raise ValueError(
            f"{path} is the name of a network; expected a file, as `minicnn train {path}` writes it"
        )
    network = cast(Network, weights.load(path, name=model and find_entry(model).name))
    network.name = network.name or str(path)
    network.recipe = network.recipe or OF_FILE
    network.to(device)
    return network


def find_network(
    model: str, own: str | None, option: list[str] | None, seed: int | None = None
) -> Network:
    """The network in a .safetensors file, or the one of that name or FILE.py:FUNCTION.

    own, option: `--model`, for a file only, and `--option`, for a name only.
    """
    options = parse_options(option)
    if model.endswith(".safetensors"):
        if options:
            raise ValueError(
                f"--option {next(iter(options))}: the options of {model} are in the file"
            )
        return load_network(model, model=own)
    if own:
        raise ValueError(f"--model {own}: expected a .safetensors file to load; {model} is none")
    return registry.create(find_entry(model, options).name, seed=seed, **options)


def parse_options(flags: list[str] | None) -> dict[str, Any]:
    """`["num_classes=2"]` -> `{"num_classes": 2}`; numbers, true, false and none are recognized."""
    options: dict[str, Any] = {}
    for flag in flags or []:
        key, equals, text = flag.partition("=")
        if not equals or not key.isidentifier():
            raise ValueError(f"--option {flag}: expected key=value")
        options[key] = _parse_value(text)
    return options


def _parse_value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_input_size(text: str | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """`"227"`, `"227x227"` or `"227x227x3"` as `(H, W, C)`."""
    if text is None:
        return default
    parts = text.lower().split("x")
    if not all(part.isdecimal() and int(part) for part in parts) or len(parts) > 3:
        raise ValueError(f"--input {text}: expected H, HxW or HxWxC in pixels")
    sizes = [int(part) for part in parts]
    height, width = sizes[0], sizes[1] if len(sizes) > 1 else sizes[0]
    return height, width, sizes[2] if len(sizes) > 2 else default[2]
