"""torch's pickles, read without torch and without executing anything in them.

A pickle is a small program that may call any function. Here it can make dictionaries, and tensors
out of storages of numbers. Whatever else it names becomes an `Opaque`, which remembers the name and
takes whatever is done to it: a file may hold an optimizer, arguments or a path beside its weights.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable
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
    "UntypedStorage": "u1",  # the tensor says which type it has
}
DTYPES = {
    "float32": "<f4",
    "float64": "<f8",
    "float16": "<f2",
    "bfloat16": "bfloat16",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "i1",
    "uint8": "u1",
    "uint16": "<u2",
    "uint32": "<u4",
    "uint64": "<u8",
    "bool": "?",
}


class Opaque:
    """A value that would have to be made by executing what `path` names: it is not made."""

    path = ""

    def __new__(cls, *arguments: Any, **named: Any) -> "Opaque":
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Take an item, as a list does."""

    add = extend = append


class _Dictionary(OrderedDict):
    """A dictionary that takes no attributes from the file, such as torch's `_metadata`."""

    def __setstate__(self, state: Any) -> None:
        pass


class _DefaultDictionary(_Dictionary):
    """A `collections.defaultdict` without its default."""

    def __init__(self, factory: Any = None, *items: Any) -> None:
        super().__init__(*items)


class Storage:
    """The numbers of a storage. In the older formats they follow after the pickle."""

    def __init__(self, kind: str, key: str, size: int):
        self.kind, self.key, self.size = kind, key, size
        self.values: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """The bytes of its numbers."""
        return self.size * width(STORAGES[self.kind])

    def fill(self, data: bytes) -> None:
        """Take its numbers from a file. Raises CheckpointError if they are too few."""
        if len(data) < self.nbytes:
            raise CheckpointError(
                f"storage {self.key} is truncated: {len(data)} of {self.nbytes} bytes"
            )
        self.values = numbers(data[: self.nbytes], STORAGES[self.kind])

    def part(self, offset: int, size: int) -> "Storage":
        """A storage of some of its numbers, as torch wrote views of storages before 0.4."""
        return _Part(self, offset, size)


class _Part(Storage):
    def __init__(self, whole: Storage, offset: int, size: int):
        self.whole, self.offset = whole, offset
        super().__init__(whole.kind, whole.key, size)

    @property
    def values(self) -> np.ndarray | None:  # type: ignore[override]
        found = self.whole.values
        return None if found is None else found[self.offset : self.offset + self.size]

    @values.setter
    def values(self, values: Any) -> None:
        pass


def width(kind: str) -> int:
    """The bytes of one number."""
    return 2 if kind == "bfloat16" else np.dtype(kind).itemsize


def numbers(data: bytes, kind: str) -> np.ndarray:
    """The numbers in `data`; bfloat16 becomes float32, of which it is the upper half."""
    if kind == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, kind)


class Tensor:
    """A view of a storage, turned into an array once the storage has been filled."""

    def __init__(
        self, storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...],
        *rest: Any,
    ):  # fmt: skip
        if not isinstance(storage, Storage) or len(shape) != len(strides):
            raise CheckpointError("a tensor without a storage")
        self.storage, self.offset = storage, offset
        self.shape, self.strides = tuple(shape), tuple(strides)
        # `_rebuild_tensor_v3` also has hooks and a type
        self.kind = getattr(rest[2], "path", "").removeprefix("torch.") if len(rest) > 2 else ""
        about = rest[-1] if rest and isinstance(rest[-1], dict) else {}
        self.is_negated = bool(about.get("neg"))

    def __setstate__(self, state: Any) -> None:
        pass

    def array(self) -> np.ndarray:
        """A copy of its numbers. Raises CheckpointError if it does not lie in its storage."""
        values = self.storage.values
        assert values is not None
        if self.storage.kind == "UntypedStorage":
            if self.kind not in DTYPES:
                raise CheckpointError(f"a tensor of type {self.kind or 'unknown'} is not read")
            values = numbers(values.tobytes(), DTYPES[self.kind])
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
        view = np.lib.stride_tricks.as_strided(
            values[self.offset :], self.shape, strides, writeable=False
        )
        return -view if self.is_negated else view.copy()


def _first(value: Any, *rest: Any) -> Any:
    """A parameter is its tensor."""
    return value


def _rebuilt(function: Any, kind: Any, arguments: Any, *rest: Any) -> Any:
    """A tensor of a subclass: what torch would have rebuilt it from."""
    known = isinstance(function, type) or function is _first
    return function(*arguments) if known else Opaque()


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Dictionary,
    ("collections", "defaultdict"): _DefaultDictionary,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor"): Tensor,
    ("torch._utils", "_rebuild_tensor_v2"): Tensor,
    ("torch._utils", "_rebuild_tensor_v3"): Tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _rebuilt,
}


class Reader(pickle.Unpickler):
    """An Unpickler that makes tensors, dictionaries and `Opaque`s, and executes nothing.

    storages: gets every storage that a tensor refers to, by its key.
    find: what a persistent identity stands for; by default a storage.
    """

    def __init__(
        self,
        file: BinaryIO,
        storages: dict[str, Storage],
        find: Callable[[Any], Any] | None = None,
    ):
        super().__init__(file, encoding="utf-8")
        self._storages, self._find = storages, find

    def find_class(self, module: str, name: str) -> Any:
        """What a global of the pickle stands for."""
        known = _KNOWN.get((module, name))
        if known is not None:
            return known
        if module in ("torch", "torch.storage") and name in STORAGES:
            return name  # the type of a storage only occurs as an argument
        return type("Opaque", (Opaque,), {"path": f"{module}.{name}"})

    def persistent_load(self, identity: Any) -> Any:
        """The storage that an identity of torch describes. Raises CheckpointError."""
        if self._find:
            return self._find(identity)
        if isinstance(identity, tuple) and identity[:1] == ("module",) and len(identity) > 1:
            return identity[1]  # a whole module: its class, which is opaque
        if (
            not isinstance(identity, tuple)
            or len(identity) < 5
            or identity[0] != "storage"
            or identity[1] not in STORAGES
        ):
            kind = identity[1] if isinstance(identity, tuple) and len(identity) > 1 else identity
            kind = getattr(kind, "path", kind)
            raise CheckpointError(f"a tensor is kept as {str(kind)[:80]!r}, which is not read")
        _, kind, key, _, size = identity[:5]
        storage = self._storages.setdefault(str(key), Storage(kind, str(key), int(size)))
        if len(identity) > 5 and identity[5] is not None:
            _, offset, part = identity[5]
            return storage.part(int(offset), int(part))
        return storage
