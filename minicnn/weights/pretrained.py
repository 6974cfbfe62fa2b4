"""Weights from a path or a URL, loaded into an existing network."""

import re
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from ..data.download import cache_folder, download, sha256
from ..data.transforms import Preprocess
from ..errors import CheckpointError
from ..layers import Layer, Network, metadata
from .head import keep_new_head
from .safetensors import (
    OTHERS,
    TORCH,
    described,
    is_safetensors,
    is_torchs,
    model_tensors,
    put_into,
    read,
)
from .torch_file import read_torch
from .torch_state import own_tensors, torch_form

# The names of torchvision's files end with the first digits of their checksum.
CHECKSUM_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def load_into(
    model: Network,
    source: str | PathLike[str],
    checksum: str | None = None,
    report: Callable[[str], object] = print,
) -> None:
    """Copy the weights at a path or URL into `model`, which is in training mode afterwards.

    The model was made by `registry.create`. If `num_classes` is among its options and the file has
    another number of classes, the head keeps the model's own weights, and `report` is called with
    a sentence that says so.

    source: a safetensors file, or a torch checkpoint (.pth, .pt) with torchvision's names.
    checksum: the SHA-256 of the file, or its first digits.
    Raises CheckpointError or DataError if the file cannot be read or downloaded, has another
    checksum, does not fit, or holds weights that are not finite.
    """
    if not isinstance(source, (str, PathLike)):
        raise ValueError(
            f"weights: expected a path or URL, not {type(source).__name__}; model.load_state_dict "
            "and weights.load_torch take a dictionary of arrays"
        )
    is_url = urlparse(str(source)).scheme in ("http", "https")
    path = _fetch(str(source), checksum) if is_url else Path(source)
    if checksum and path.is_file() and not sha256(path).startswith(checksum.lower()):
        raise CheckpointError(f"{path}: its SHA-256 is {sha256(path)}, expected {checksum}")
    if OTHERS.get(path.suffix, TORCH) != TORCH:
        raise CheckpointError(f"{path}: it is no file of weights; expected {OTHERS[path.suffix]}")
    is_torchs_file = not is_safetensors(path)
    tensors, about = (read_torch(path), {"format": "pt"}) if is_torchs_file else read(path)
    state = model_tensors(tensors)
    preprocess = _preprocess(model, path, about)
    try:
        in_torchs_layout = is_torchs(model, state, about)
        if in_torchs_layout:
            state = own_tensors(model, state)
            _check_options(model)
        state, said = keep_new_head(model, state, in_torchs_layout)
        put_into(model, state, in_torchs_layout)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    if said:
        report(f"{path}: {said}")
    model.preprocess = preprocess
    model.train()


def _check_options(model: Layer) -> None:
    """Raise CheckpointError if an option that torch's files do not have was not given."""
    form, about = torch_form(model), metadata(model)
    for option, values in (form.undecided if form else {}).items():
        if option not in about.options:
            raise CheckpointError(
                f"torch's files of {about.name} do not have its option {option}: give {values}"
            )


def _preprocess(model: Network, path: Path, about: Mapping[str, str]) -> Any:
    """What the weights were trained with: torch's by the network, ours in the metadata."""
    form = torch_form(model)
    if any(key.startswith("minicnn.") for key in about):
        found = described(path, about)["preprocess"]
    else:
        found = form.preprocess if form else None
    return found.for_input(model.input_shape) if isinstance(found, Preprocess) else found


def _fetch(url: str, checksum: str | None) -> Path:
    """The file at the URL: from the cache if it is there and intact, else downloaded."""
    name = Path(urlparse(url).path).name
    found = CHECKSUM_IN_NAME.search(name)
    expected = checksum or (found.group(1) if found else None)
    if expected is None:
        raise CheckpointError(
            f"{url}: give sha256=..., so that the downloaded file can be verified"
        )
    target = cache_folder() / "weights" / name
    if not target.is_file() or not sha256(target).startswith(expected.lower()):
        download([url], target, expected.lower())
    return target
