"""`.pth` and `.pt` files, read without torch and without executing anything in them.

torch saves a pickle, which is a small program that may call any function. It is run by an Unpickler
restricted to ordered dictionaries, tensors, parameters and storages of numbers; anything else is
rejected by name. Both formats of torch are read: the zip archive (since 1.6) and the older sequence
of pickles.
"""

import io
import pickle
import zipfile
from collections import OrderedDict
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import CheckpointError

STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


def read_torch(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """The tensors in a torch file by name. bfloat16 becomes float32.

    Weights may also be nested, under "state_dict", "model_state_dict" or "model".
    Raises CheckpointError if the file is damaged, holds no tensors by name, or holds something that
    would have to be executed; the message names it.
    """
    path = Path(path)
    try:
        contents = _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged pickle can raise almost anything
        raise CheckpointError(
            f"{path}: it is not a torch file, or damaged ({error or type(error).__name__})"
        ) from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(contents, dict) and isinstance(contents.get(key), dict):
            contents = contents[key]
    if (
        not isinstance(contents, dict)
        or not contents
        or not all(isinstance(k, str) for k in contents)
    ):
        raise CheckpointError(f"{path}: it holds no tensors by name, but {type(contents).__name__}")
    others = [name for name, value in contents.items() if not isinstance(value, np.ndarray)]
    if others:
        raise CheckpointError(
            f"{path}: {others[0]} is not a tensor but {type(contents[others[0]]).__name__}"
        )
    return dict(contents)


class _Storage:
    """The numbers of a storage. In the old format they follow after the pickle."""

    def __init__(self, kind: str, key: str, size: int):
        self.kind, self.key, self.size = kind, key, size
        self.values: np.ndarray | None = None

    def fill(self, data: bytes) -> None:
        kind = STORAGES[self.kind]
        width = 2 if kind == "bfloat16" else np.dtype(kind).itemsize
        if len(data) < self.size * width:
            raise CheckpointError(
                f"storage {self.key} is truncated: {len(data)} of {self.size * width} bytes"
            )
        if kind == "bfloat16":  # the upper half of a float32
            halves = np.frombuffer(data, "<u2", self.size)
            self.values = (halves.astype(np.uint32) << 16).view(np.float32)
        else:
            self.values = np.frombuffer(data, kind, self.size)


class _Tensor:
    """A view of a storage, turned into an array once the storage has been filled."""

    def __init__(
        self,
        storage: Any,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *rest: Any,
    ):
        if not isinstance(storage, _Storage) or len(shape) != len(strides):
            raise CheckpointError("a tensor without a storage")
        self.storage, self.offset = storage, offset
        self.shape, self.strides = tuple(shape), tuple(strides)

    def array(self) -> np.ndarray:
        values = self.storage.values
        assert values is not None
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True))
        empty = 0 in self.shape
        if min((self.offset, *self.shape, *self.strides)) < 0 or (
            not empty and last >= len(values)
        ):
            raise CheckpointError(
                f"a tensor of shape {self.shape} does not lie within its storage "
                f"of {len(values)} values"
            )
        if empty:
            return np.zeros(self.shape, values.dtype)
        strides = tuple(s * values.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, strides, writeable=False
        ).copy()


class _Dictionary(OrderedDict):
    """An ordered dictionary that takes no attributes from the file, such as torch's `_metadata`."""

    def __setstate__(self, state: Any) -> None:
        pass


def _parameter(data: _Tensor, *rest: Any) -> _Tensor:
    return data


class _Reader(pickle.Unpickler):
    """An Unpickler restricted to four kinds of global; anything else is rejected by name."""

    def __init__(self, file: BinaryIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return _Dictionary
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _parameter
        if module == "torch" and name in STORAGES:
            return name  # the type of a storage only occurs as an argument
        raise CheckpointError(
            f"it would execute {module}.{name}, which is refused; only tensors by name are read"
        )

    def persistent_load(self, identity: Any) -> _Storage:
        if (
            not isinstance(identity, tuple)
            or len(identity) < 5
            or identity[0] != "storage"
            or identity[1] not in STORAGES
        ):
            raise CheckpointError(f"an unknown kind of storage: {str(identity)[:80]}")
        _, kind, key, _, size = identity[:5]
        if len(identity) > 5 and identity[5] is not None:
            raise CheckpointError("a view of a storage, as torch wrote it before version 0.4")
        return self._storages.setdefault(str(key), _Storage(kind, str(key), int(size)))


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise CheckpointError("it is a compressed zip archive; torch's are not compressed")
        pickles = [
            name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"
        ]
        if len(pickles) != 1:
            raise CheckpointError("it is a zip archive, but not one of torch's")
        folder = pickles[0].removesuffix("data.pkl")
        if (
            folder + "byteorder" in archive.namelist()
            and archive.read(folder + "byteorder") != b"little"
        ):
            raise CheckpointError("its numbers are big-endian")
        storages: dict[str, _Storage] = {}
        contents = _Reader(io.BytesIO(archive.read(pickles[0])), storages).load()
        for key, storage in storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
    return _arrays(contents)


def _read_legacy(path: Path) -> Any:
    with path.open("rb") as file:
        storages: dict[str, _Storage] = {}
        if (
            _Reader(file, storages).load() != LEGACY_MAGIC
            or _Reader(file, storages).load() != LEGACY_PROTOCOL
        ):
            raise CheckpointError("it is not a torch file")
        _Reader(file, storages).load()  # sizes of C types on the writing machine
        contents = _Reader(file, storages).load()
        for key in _Reader(file, storages).load():
            count = int.from_bytes(file.read(8), "little")
            storage = storages.get(str(key))
            if storage is None or count != storage.size:
                raise CheckpointError(
                    f"storage {key} holds {count} values, but its tensors need another number"
                )
            kind = STORAGES[storage.kind]
            storage.fill(file.read(count * (2 if kind == "bfloat16" else np.dtype(kind).itemsize)))
    return _arrays(contents)


def _arrays(value: Any) -> Any:
    """`value` with every tensor in its dictionaries, lists and tuples turned into an array."""
    if isinstance(value, _Tensor):
        return value.array()
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_arrays(item) for item in value]
    return value
