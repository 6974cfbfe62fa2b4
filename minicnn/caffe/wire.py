"""Protobuf's wire format: a message is a sequence of numbered fields.

    field   = varint(number * 8 + kind), then its value
    kind 0  = varint: 7 bits per byte, lowest first, the top bit is set if more follow
    kind 1  = 8 bytes, kind 5 = 4 bytes, little endian
    kind 2  = varint(length), then that many bytes: text, a message, or packed numbers

These few lines replace Caffe's generated module of 5,600 lines and the library that it needs, and a
file cannot make them allocate more than it is long. Source: protobuf.dev, "Encoding".
"""

from collections.abc import Iterator

from ..errors import CheckpointError

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5

Value = int | memoryview


def fields(data: memoryview) -> Iterator[tuple[int, int, Value]]:
    """(number, kind, value) of each field; a varint is an int, all others are the bytes.

    Raises CheckpointError if the bytes are no message, or end within one.
    """
    position = 0
    while position < len(data):
        key, position = varint(data, position)
        number, kind = key >> 3, key & 7
        value: Value
        if number == 0:
            raise CheckpointError("a field has the number 0")
        if kind == VARINT:
            value, position = varint(data, position)
        else:
            if kind == LENGTH:
                size, position = varint(data, position)
            elif kind in (EIGHT_BYTES, FOUR_BYTES):
                size = 8 if kind == EIGHT_BYTES else 4
            else:
                raise CheckpointError(f"field {number} is of the unknown kind {kind}")
            value = data[position : position + size]
            if len(value) < size:
                raise CheckpointError(
                    f"field {number} has {size} bytes, of which {len(value)} are there"
                )
            position += size
        yield number, kind, value


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """The integer at `position`, and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise CheckpointError("it ends within a number")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, position
    raise CheckpointError("a number has more than 10 bytes")


def encoded_varint(value: int) -> bytes:
    """The inverse of `varint`; a negative integer becomes its 64-bit two's complement."""
    value &= (1 << 64) - 1
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes(found + bytes([value]))


def encoded_field(number: int, kind: int, value: int | bytes) -> bytes:
    """One field: `value` is an int for a varint, and the bytes of all others."""
    key = encoded_varint(number << 3 | kind)
    if isinstance(value, int):
        return key + encoded_varint(value)
    return key + (encoded_varint(len(value)) if kind == LENGTH else b"") + value
