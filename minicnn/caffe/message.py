"""A message of caffe.proto: its fields by name, read from and written as protobuf's binary form."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import CheckpointError
from .schema import MESSAGES, NUMBERS, Field
from .wire import LENGTH, VARINT, encoded_field, fields, varint

REALS: dict[str, tuple[np.dtype, int]] = {
    "float": (np.dtype("<f4"), 5),
    "double": (np.dtype("<f8"), 1),
}


class Message:
    """The fields of one message. A field that repeats, or is absent, is a list of 0 or more values.

    kind: the message's name in `schema`. unknown: the fields that are not in the schema.
    unknown_messages: those of them that are messages; only of a text, which tells.
    Text and enumerations are str; many real numbers may be one array.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.values: dict[str, list[Any]] = {}
        self.unknown: list[str] = []
        self.unknown_messages: list[str] = []

    def __contains__(self, name: str) -> bool:
        return bool(self.values.get(name))

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field; the last one, as protobuf has it, if there are several."""
        return self.all(name)[-1] if name in self else default

    def all(self, name: str) -> list[Any]:
        """All values of a field."""
        assert name in MESSAGES[self.kind], f"{self.kind} has no field {name}"
        return self.values.get(name, [])

    def add(self, name: str, *values: Any) -> "Message":
        """Append values to a field; returns the message."""
        assert name in MESSAGES[self.kind], f"{self.kind} has no field {name}"
        self.values.setdefault(name, []).extend(values)
        return self

    def numbers(self, name: str) -> np.ndarray:
        """All values of a field of real numbers, in one array."""
        parts = [np.atleast_1d(part) for part in self.all(name)]
        return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, np.float32), *parts])


def read_binary(data: bytes | memoryview, kind: str) -> Message:
    """The message of that kind in `data`. Arrays are views of it.

    Raises CheckpointError if the bytes are no such message.
    """
    message = Message(kind)
    loose: dict[str, bytearray] = {}  # real numbers that are not packed: old files have those
    for number, wire, value in fields(memoryview(data)):
        field = NUMBERS[kind].get(number)
        if field is None:
            message.unknown.append(f"number {number}")
        elif field.type == "-":
            message.values.setdefault(field.name, []).append(True)
        elif field.type in REALS and wire != LENGTH and field.repeated:
            loose.setdefault(field.name, bytearray()).extend(_bytes(kind, field, value))
        else:
            message.values.setdefault(field.name, []).extend(_decoded(kind, field, value))
    for name, numbers in loose.items():
        message.add(name, np.frombuffer(numbers, REALS[MESSAGES[kind][name].type][0]))
    return message


def _bytes(kind: str, field: Field, value: Any) -> memoryview:
    if isinstance(value, int):
        raise CheckpointError(f"{kind}.{field.name} is an integer; expected {field.type}")
    return value


def _decoded(kind: str, field: Field, value: Any) -> Iterator[Any]:
    """The values in one field of the wire format. Raises CheckpointError for another type."""
    if field.type in ("int", "bool", "enum"):
        packed = not isinstance(value, int)
        for number in _packed(value) if packed else [value]:
            yield _integer(kind, field, number)
        return
    data = _bytes(kind, field, value)
    if field.type in REALS:
        dtype = REALS[field.type][0]
        if len(data) % dtype.itemsize:
            raise CheckpointError(
                f"{kind}.{field.name} has {len(data)} bytes; expected whole numbers"
            )
        array = np.frombuffer(data, dtype)
        yield from [array] if field.repeated else map(float, array)
    elif field.type == "string":
        yield str(data, "utf-8", "replace")
    else:
        yield read_binary(data, field.type)


def _packed(data: memoryview) -> Iterator[int]:
    position = 0
    while position < len(data):
        value, position = varint(data, position)
        yield value


def _integer(kind: str, field: Field, value: int) -> Any:
    if field.type == "bool":
        return bool(value)
    if field.type == "enum":
        if value >= len(field.words):
            raise CheckpointError(
                f"{kind}.{field.name} is {value}; expected 0 to {len(field.words) - 1}"
            )
        return field.words[value]
    return value - (1 << 64) if value >= 1 << 63 else value


def write_binary(message: Message) -> bytes:
    """The message in protobuf's binary form, without fields that the schema skips.

    Real numbers that repeat are packed.
    """
    parts = []
    for name, values in message.values.items():
        field = MESSAGES[message.kind][name]
        if field.type == "-":
            continue
        if field.type in REALS:
            dtype, wire = REALS[field.type]
            if field.repeated:
                data = b"".join(np.asarray(v, dtype).tobytes() for v in values)
                parts.append(encoded_field(field.number, LENGTH, data))
            else:
                parts += [
                    encoded_field(field.number, wire, dtype.type(v).tobytes()) for v in values
                ]
        elif field.type in ("int", "bool", "enum"):
            parts += [_encoded_integer(field, value) for value in values]
        else:
            parts += [encoded_field(field.number, LENGTH, _encoded(value)) for value in values]
    return b"".join(parts)


def _encoded_integer(field: Field, value: Any) -> bytes:
    return encoded_field(
        field.number, VARINT, field.words.index(value) if field.type == "enum" else int(value)
    )


def _encoded(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else write_binary(value)
