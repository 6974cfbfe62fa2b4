"""`.pth`, `.pt` and `.th` files, in every form that torch has written, without torch.

The zip archive (since 1.6), the sequence of pickles (0.1.10 to 1.5, and what torchvision still
serves as VGG), and the tar file before that. `torch_pickle.py` reads the pickles in them without
executing anything.
"""

import io
import struct
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from .torch_pickle import Opaque, Reader, Storage, Tensor

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
# Under which names checkpoints hold the weights, the usual ones first.
NESTED = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "params",
    "weights",
    "state_dict_ema",
    "model_ema",
    "ema",
)
# What files that are no pickles begin with.
NO_PICKLE = {
    b"PK": "it is damaged or incomplete: it begins as a zip archive and does not end as one",
    b"version https://git-lfs": "it is a pointer of Git LFS: fetch the file with `git lfs pull`",
    b"<": "it is not a torch file, but a web page or XML",
    b"{": "it is not a torch file, but JSON, such as the index of weights in several files, which "
    "are not read: join them",
    b"\x93NUMPY": "it is not a torch file, but an array of NumPy",
    b"GGUF": "it is not a torch file, but GGUF",
    b"\x89PNG": "it is not a torch file, but an image",
    b"\xff\xd8\xff": "it is not a torch file, but an image",
    b"\x89HDF": "it is not a torch file, but HDF5, as Keras writes it",
}
HOW_TO_SAVE = "save the weights alone: torch.save(model.state_dict(), path)"


def read_torch(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors in a torch file by name. bfloat16 becomes float32.

    Weights may also be nested, as under "state_dict" or "model", beside anything else. Averages, as
    under "model_ema", are read only if there are no others; a warning names what was not read.
    Raises CheckpointError if the file is damaged, holds no tensors by name, or has something among
    them that would have to be executed; the message names it.
    """
    path, beside = Path(path), list[str]()
    try:
        found = _weights_in(_contents(path), beside)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can raise almost anything
        raise CheckpointError(
            f"{path}: it is not a torch file, or damaged ({error or type(error).__name__})"
        ) from None
    for sentence in beside:
        warnings.warn(f"{path}: {sentence}", stacklevel=2)
    return found


def _contents(path: Path) -> Any:
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    if tarfile.is_tarfile(path):
        return _read_tar(path)
    with path.open("rb") as file:
        first = file.read(64)
    if not first:
        raise CheckpointError("the file is empty")
    for mark, what in NO_PICKLE.items():
        if first.startswith(mark):
            raise CheckpointError(what)
    return _read_legacy(path)


def _weights_in(contents: Any, beside: list[str]) -> dict[str, np.ndarray]:
    """The tensors by name, wherever they are nested. Raises CheckpointError if there are none.

    beside: gets a sentence about other weights, which are not read.
    """
    if isinstance(contents, Opaque):
        raise CheckpointError(f"it would execute {contents.path}, which is refused; {HOW_TO_SAVE}")
    key, *others = _nested(contents)
    if key is not None:
        if others:
            beside.append(
                f"the weights under {key!r} are read, and not those under "
                f"{', '.join(map(repr, others))}; to read these, save them alone: "
                f"torch.save(checkpoint[{others[0]!r}], path)"
            )
        return _weights_in(contents[key], beside)
    if not isinstance(contents, dict) or not contents or not all(map(_is_name, contents)):
        kind = "an array" if isinstance(contents, np.ndarray) else f"a {type(contents).__name__}"
        raise CheckpointError(f"it holds no tensors by name, but {kind}; {HOW_TO_SAVE}")
    for name, value in contents.items():
        if isinstance(value, Opaque):
            raise CheckpointError(
                f"{name} is not a tensor: it would execute {value.path}, which is refused"
            )
        if not isinstance(value, np.ndarray):
            raise CheckpointError(f"{name} is not a tensor but {type(value).__name__}")
    return dict(contents)


def _nested(contents: Any) -> list[str | None]:
    """The key of the dictionary in `contents` that holds the weights, and those of similar ones.

    The key is None if `contents` itself holds them. Raises CheckpointError if it cannot be told.
    """
    if not isinstance(contents, dict):
        return [None]
    inner = [
        key
        for key, value in contents.items()
        if isinstance(key, str) and isinstance(value, dict) and _has_tensors(value)
    ]
    named = [key for key in NESTED if key in inner]
    if named:
        return [*named[:1], *(key for key in inner if key != named[0])]
    if not inner or any(map(_is_tensor, contents.values())):
        return [None]
    if len(inner) > 1:
        raise CheckpointError(
            f"it holds tensors under {', '.join(map(repr, inner))}; save the weights among them "
            f"alone: torch.save(checkpoint[{inner[0]!r}], path)"
        )
    return [inner[0]]


def _has_tensors(value: dict) -> bool:
    return any(
        (_is_name(key) and (_is_tensor(item) or isinstance(item, Opaque)))
        or (isinstance(item, dict) and _is_name(key) and _has_tensors(item))
        for key, item in value.items()
    )


def _is_name(key: Any) -> bool:
    return isinstance(key, str)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, np.ndarray)


# -- the three formats -----------------------------------------------------------------------------


def _read_zip(path: Path) -> Any:
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {info.filename: info for info in archive.infolist()}
    pickles = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(pickles) != 1:
        what = "NumPy's npz" if any(name.endswith(".npy") for name in entries) else "a zip archive"
        raise CheckpointError(f"it is not a torch file, but {what}")
    folder = pickles[0].removesuffix("data.pkl")
    order = entries.get(f"{folder}byteorder")
    if order is not None and _entry(data, order) != b"little":
        raise CheckpointError("its numbers are big-endian")
    storages: dict[str, Storage] = {}
    contents = Reader(io.BytesIO(_entry(data, entries[pickles[0]])), storages).load()
    for key, storage in storages.items():
        storage.fill(_entry(data, entries[f"{folder}data/{key}"]))
    return _arrays(contents)


def _entry(data: bytes, info: zipfile.ZipInfo) -> bytes:
    """One entry of a zip archive. torch can be told to write no checksums: then it is 0.

    Raises CheckpointError if it is damaged.
    """
    lengths = struct.unpack_from("<HH", data, info.header_offset + 26)
    first = info.header_offset + 30 + sum(lengths)
    contents = data[first : first + info.compress_size]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        contents = zlib.decompress(contents, -zlib.MAX_WBITS)
    elif info.compress_type != zipfile.ZIP_STORED:
        raise CheckpointError(f"{info.filename} is compressed in a way that is not read")
    if len(contents) != info.file_size or (info.CRC and zlib.crc32(contents) != info.CRC):
        raise CheckpointError(f"it is damaged: {info.filename} does not have its checksum")
    return contents


def _read_legacy(path: Path) -> Any:
    with path.open("rb") as file:
        storages: dict[str, Storage] = {}
        first = Reader(file, storages).load()
        if isinstance(first, Opaque):  # a pickle that torch has not written
            return first
        if first != LEGACY_MAGIC or Reader(file, storages).load() != LEGACY_PROTOCOL:
            raise CheckpointError("it is not a torch file")
        Reader(file, storages).load()  # sizes of C types on the writing machine
        contents = Reader(file, storages).load()
        for key in Reader(file, storages).load():
            count = int.from_bytes(file.read(8), "little")
            storage = storages.get(str(key))
            if storage is None or count != storage.size:
                raise CheckpointError(
                    f"storage {key} holds {count} values, but its tensors need another number"
                )
            storage.fill(file.read(storage.nbytes))
    return _arrays(contents)


def _read_tar(path: Path) -> Any:
    """Before 0.1.10: the storages, the tensors and the pickle are files of their own."""
    with tarfile.open(path) as archive:
        found = {m.name.removeprefix("./"): m for m in archive if m.isfile()}
        if {"pickle", "tensors", "storages"} - found.keys():
            raise CheckpointError("it is a tar file, but not one of torch's")
        files = {
            name: io.BytesIO(archive.extractfile(member).read())  # type: ignore[union-attr]
            for name, member in found.items()
        }
    storages = _tar_storages(files["storages"])
    tensors: dict[str, Tensor] = {}
    file = files["tensors"]
    for _ in range(Reader(file, {}).load()):
        key, storage, _ = Reader(file, {}).load()
        rank, _ = struct.unpack("<ii", file.read(8))
        sizes = struct.unpack(f"<{2 * rank + 1}q", file.read(8 * (2 * rank + 1)))
        shape, strides, offset = sizes[:rank], sizes[rank : 2 * rank], sizes[-1]
        tensors[str(key)] = Tensor(storages[str(storage)], offset, shape, strides)

    def find(identity: Any) -> Any:
        return identity[0] if isinstance(identity, tuple) else tensors[str(identity)]

    return _arrays(Reader(files["pickle"], {}, find).load())


def _tar_storages(file: io.BytesIO) -> dict[str, Storage]:
    storages: dict[str, Storage] = {}
    for _ in range(Reader(file, {}).load()):
        key, _, kind = Reader(file, {}).load()
        storage = Storage(kind, str(key), int.from_bytes(file.read(8), "little"))
        storage.fill(file.read(storage.nbytes))
        storages[str(key)] = storage
    for key, whole, offset, size in Reader(file, {}).load():
        storages[str(key)] = storages[str(whole)].part(offset, size)
    return storages


def _arrays(value: Any) -> Any:
    """`value` with every tensor in its dictionaries, lists and tuples turned into an array."""
    if isinstance(value, Tensor):
        return value.array()
    if isinstance(value, Mapping):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_arrays(item) for item in value]
    return value
