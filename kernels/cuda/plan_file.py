"""The plans of products that were measured on a card, in a file.

`python -m benchmarks.gpu --sweep` writes the file. It is in the platform's cache folder, or where
the environment variable MINICNN_PLANS says; an empty MINICNN_PLANS is no file. A file of another
card or of other kernels, or a damaged one, is not used, and a warning says so.
"""

import functools
import hashlib
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

from . import plan as model
from .device import runtime
from .plan import Card, Plan
from .runtime import SOURCES, source

FORMAT = 1
SETTING = "MINICNN_PLANS"
REMEDY = "the plans are estimated; python -m benchmarks.gpu --sweep measures them"
KERNELS = ("forward", "grad_input", "grad_weight")
SIZES = ("m", "n", "k", "groups")

Key = tuple[str, int, int, int, int, str]
Choice = tuple[int, int, int]  # rows and columns of the tile, and parts of the sum


def plan(kernel: str, m: int, n: int, k: int, groups: int, precision: str, card: Card) -> Plan:
    """The fastest measured plan of this product; if it was not measured, the model's."""
    product, gpu = (kernel, m, n, k, groups, precision), gpu_name(runtime())
    choice = _measured(os.environ.get(SETTING), gpu, card).get(product)
    found = _way(product, card, choice) if choice else None
    if choice and not found:
        name = f"{kernel} {m}x{n}x{k}"
        _warn_once(f"{plan_path(gpu)}: no plan of {name} has the tile and parts {choice}")
    return found or model.plan(*product, card)


def plan_path(gpu: str) -> Path | None:
    """The file for a GPU of that name; None if there is to be none."""
    chosen = os.environ.get(SETTING)
    if chosen is not None:
        return Path(chosen) if chosen else None
    try:
        import platformdirs
    except ImportError:  # an environment without minicnn's own dependencies
        return None
    name = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    return Path(platformdirs.user_cache_dir("minicnn", appauthor=False)) / f"plans-{name}.json"


@functools.lru_cache(maxsize=2)
def gpu_name(run: Any) -> str:
    """The name of the GPU."""
    return run.describe()["gpu"]


@functools.cache
def kernels_digest() -> str:
    """A number of the kernels and of the model: plans that were measured with others are void."""
    texts = [source(file.name) for file in sorted(SOURCES.glob("conv*.cu"))]
    texts.append((SOURCES / "plan.py").read_text(encoding="utf-8"))
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def head(gpu: str, card: Card) -> dict[str, Any]:
    """What a file says of the card and the kernels that it is for."""
    return {"format": FORMAT, "gpu": gpu, "card": list(card), "kernels": kernels_digest()}


def read(path: Path, gpu: str, card: Card) -> list[dict[str, Any]]:
    """The entries of a file; none if there is no file.

    Raises ValueError with one sentence if it is damaged, or for another card or other kernels.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if SETTING in os.environ:
            raise ValueError(f"{SETTING}={path}: there is no such file") from None
        return []
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: the file cannot be read: {error}") from None
    if not isinstance(found, dict) or not isinstance(found.get("plans"), list):
        raise ValueError(f"{path}: the file has no list of plans")
    for key, expected in head(gpu, card).items():
        if found.get(key) != expected:
            raise ValueError(f"{path}: {key} is {found.get(key)!r}; expected {expected!r}")
    for number, entry in enumerate(found["plans"]):
        if not _is_entry(entry):
            raise ValueError(f"{path}: plan number {number} is damaged: {str(entry)[:100]}")
    return found["plans"]


def key_of(entry: dict[str, Any]) -> Key:
    """The product of an entry."""
    kernel, precision = entry["kernel"], entry["precision"]
    return kernel, *(entry[size] for size in SIZES), precision  # type: ignore[return-value]


def _is_entry(entry: Any) -> bool:
    """True for a plan with the names and the kinds of numbers that it should have."""
    if not isinstance(entry, dict) or entry.get("kernel") not in KERNELS:
        return False
    numbers = [entry.get(name) for name in (*SIZES, "splits")]
    tile, precision = entry.get("tile"), entry.get("precision")
    if not isinstance(precision, str) or precision not in model.MULTIPLY_ADDS:
        return False
    tiles = [[one.m, one.n] for one in model.tiles(precision)]
    return all(type(number) is int and number >= 1 for number in numbers) and tile in tiles


@functools.lru_cache(maxsize=4)
def _measured(setting: str | None, gpu: str, card: Card) -> dict[Key, Choice]:
    """Product -> what was fastest; empty, after a warning, if the file cannot be used.

    `setting` is the value of MINICNN_PLANS.
    """
    path = plan_path(gpu)
    try:
        entries = read(path, gpu, card) if path else []
    except ValueError as error:
        _warn_once(str(error))
        return {}
    return {key_of(entry): (*entry["tile"], entry["splits"]) for entry in entries}


@functools.lru_cache(maxsize=4096)
def _way(product: Key, card: Card, choice: Choice) -> Plan | None:
    """The way of the model with this tile and as many parts; None if it has none."""
    ways = (way for way in model.ways(*product, card))
    return next((w for w in ways if (w.tile.m, w.tile.n, w.splits) == choice), None)


@functools.cache
def _warn_once(sentence: str) -> None:
    warnings.warn(f"{sentence}; {REMEDY}", stacklevel=2)
