"""Weights from a path or a URL, loaded into an existing network."""

import re
from os import PathLike
from pathlib import Path
from urllib.parse import urlparse

from ..data.download import cache_folder, download, sha256
from ..errors import CheckpointError
from ..layers import Layer
from .safetensors import load
from .torch_file import read_torch
from .torch_state import load_torch

# The names of torchvision's files end with the first digits of their checksum.
CHECKSUM_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")


def load_into(model: Layer, source: str | PathLike[str], checksum: str | None = None) -> None:
    """Copy the weights at a path or URL into `model`, which is in training mode afterwards.

    source: a safetensors file, or a torch checkpoint (.pth, .pt) with torchvision's names.
    checksum: the SHA-256 of the file, or its first digits.
    Raises CheckpointError or DataError if the file cannot be read or downloaded, has another
    checksum, does not fit, or holds weights that are not finite.
    """
    is_url = urlparse(str(source)).scheme in ("http", "https")
    path = _fetch(str(source), checksum) if is_url else Path(source)
    if checksum and path.is_file() and not sha256(path).startswith(checksum.lower()):
        raise CheckpointError(f"{path}: its SHA-256 is {sha256(path)}, expected {checksum}")
    if path.suffix == ".safetensors":
        load(path, model)
    else:
        tensors = read_torch(path)
        try:
            load_torch(model, tensors)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
    model.train()


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
