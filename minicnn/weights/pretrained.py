"""Weights from a path or a URL, into a network that exists already."""

import re
from pathlib import Path
from urllib.parse import urlparse

from ..data.download import cache_folder, download, sha256
from ..errors import CheckpointError
from ..layers import Layer
from .safetensors import load
from .torch_file import read_torch
from .torch_state import load_torch

IN_NAME = re.compile(
    r"-([0-9a-f]{8,64})\.\w+$"
)  # torchvision's names end with the beginning of the checksum


def load_into(model: Layer, source, checksum: str | None = None) -> None:
    """Copy the weights in a file or behind a URL into `model`: safetensors, or a torch checkpoint (.pth, .pt).

    Raises CheckpointError or DataError if they cannot be had, do not have the SHA-256 `checksum`, or do not fit.
    """
    path = (
        _fetched(str(source), checksum)
        if urlparse(str(source)).scheme in ("http", "https")
        else Path(source)
    )
    if checksum and path.is_file() and not sha256(path).startswith(checksum.lower()):
        raise CheckpointError(f"{path}: its SHA-256 is {sha256(path)}, expected {checksum}")
    if path.suffix == ".safetensors":
        load(path, model)
        model.train()
        return
    try:
        load_torch(model, read_torch(path))
    except CheckpointError as error:
        raise CheckpointError(
            str(error) if str(path) in str(error) else f"{path}: {error}"
        ) from None


def _fetched(url: str, checksum: str | None) -> Path:
    """The file behind the URL, from the cache if it is there and right."""
    name = Path(urlparse(url).path).name
    found = IN_NAME.search(name)
    expected = checksum or (found.group(1) if found else None)
    if expected is None:
        raise CheckpointError(f"{url}: give its sha256=..., so that what arrives can be verified")
    target = cache_folder() / "weights" / name
    if not target.is_file() or not sha256(target).startswith(expected.lower()):
        download([url], target, expected.lower())
    return target
