"""Protobuf's wire format, by the numbers of its documentation."""

import pytest

from minicnn.caffe.wire import LENGTH, VARINT, encoded_field, fields
from minicnn.errors import CheckpointError


def read(text):
    return [(n, k, v if isinstance(v, int) else bytes(v)) for n, k, v in fields(memoryview(text))]


def test_documented_examples():
    """protobuf.dev, "Encoding": 150, "testing", and 3, 270, 86942 packed."""
    assert read(b"\x08\x96\x01") == [(1, VARINT, 150)]
    assert read(b"\x12\x07testing") == [(2, LENGTH, b"testing")]
    assert read(b"\x32\x06\x03\x8e\x02\x9e\xa7\x05") == [(6, LENGTH, b"\x03\x8e\x02\x9e\xa7\x05")]
    assert encoded_field(1, VARINT, 150) == b"\x08\x96\x01"
    assert encoded_field(2, LENGTH, b"testing") == b"\x12\x07testing"
    assert encoded_field(100, VARINT, -2)[2:] == b"\xfe" + b"\xff" * 8 + b"\x01"


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        (b"\x08", "it ends within a number"),
        (b"\x08" + b"\xff" * 10, "a number has more than 10 bytes"),
        (b"\x12\x07test", "field 2 has 7 bytes, of which 4 are there"),
        (b"\x12" + b"\xff" * 9 + b"\x01", "of which 0 are there"),
        (b"\x0d\x00\x00", "field 1 has 4 bytes, of which 2 are there"),
        (b"\x0b", "field 1 is of the unknown kind 3"),
        (b"\x00\x00", "a field has the number 0"),
    ],
)
def test_damaged(contents, text):
    with pytest.raises(CheckpointError, match=text):
        read(contents)
