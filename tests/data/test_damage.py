"""500 damaged files, truncated or with flipped bits.

Each is rejected with one sentence that names it, or read without a change.
"""

import gzip
import hashlib
import importlib
import io

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import data, models
from minicnn.errors import CheckpointError, DataError

from .test_idx import idx_bytes

mnist = importlib.import_module("minicnn.data.mnist")  # `minicnn.data.mnist` itself is the function

CASES = 125  # of each kind


def damage(contents: bytes, generator) -> bytes:
    """Cut somewhere, or flip one to eight bits."""
    if generator.integers(2):
        return contents[: generator.integers(len(contents))]
    flipped = bytearray(contents)
    for position in generator.integers(len(contents), size=generator.integers(1, 9)):
        flipped[position] ^= 1 << generator.integers(8)
    return bytes(flipped)


def outcomes(path, contents, read, expected, error):
    """Damage the file many times; count rejections, and check that accepted data is unchanged."""
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(CASES):
        path.write_bytes(damage(contents, generator))
        try:
            result = read(path)
        except error as refusal:
            refused += 1
            assert path.name.partition(".")[0] in str(refusal)
            assert "\n" not in str(refusal)
        else:
            for ours, theirs in zip(result, expected, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    return refused


def test_idx(tmp_path):
    """The checksum stands over the contents: a flipped pixel of a plain file is noticed as well."""
    for suffix, packing in ((".gz", gzip.compress), ("", bytes)):
        images = np.random.default_rng(1).integers(0, 256, (40, 28, 28))
        contents = packing(idx_bytes(images))
        checksums = (
            hashlib.sha256(contents).hexdigest(),
            hashlib.sha256(idx_bytes(images)).hexdigest(),
        )
        path = tmp_path / f"train-images-idx3-ubyte{suffix}"

        def read(path, checksums=checksums):
            return [data.idx.parse(mnist._verified(path, checksums), 3, path)]

        assert outcomes(path, contents, read, [images], DataError) > 0.9 * CASES


def test_png(tmp_path):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (30, 30), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")

    def read(path):
        return [data.read_image(path, (30, 30), 1, invert=False)[0][..., 0]]

    assert (
        outcomes(tmp_path / "image.png", buffer.getvalue(), read, [pixels], DataError) > 0.9 * CASES
    )


def test_jpeg_never_gives_a_traceback(tmp_path):
    """JPEG has no checksum: a flipped bit gives an image of the same size, or one sentence."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 30), np.uint8)).save(
        buffer, "JPEG"
    )
    generator = np.random.default_rng(2)
    path = tmp_path / "image.jpg"
    refused = 0
    for _ in range(CASES):
        path.write_bytes(damage(buffer.getvalue(), generator))
        try:
            pixels, _ = data.read_image(path, (30, 30), 1)
        except DataError as refusal:
            refused += 1
            assert "image.jpg: it cannot be read as an image" in str(refusal)
        else:
            assert pixels.dtype == np.uint8
            assert max(pixels.shape) <= 30
    assert refused > CASES / 4


def test_checkpoint(tmp_path):
    model = models.create("lenet5", seed=3)
    path = tmp_path / "lenet5.safetensors"
    minicnn.save(model, path)

    def read(path):
        return list(minicnn.load(path).state_dict().values())

    assert (
        outcomes(path, path.read_bytes(), read, list(model.state_dict().values()), CheckpointError)
        == CASES
    )


@pytest.mark.parametrize(
    "contents", [b"", b"\0" * 7, b"\0" * 8, b"\xff" * 64, b"\x02\0\0\0\0\0\0\0{}" + b"\0" * 9]
)
def test_not_a_checkpoint(tmp_path, contents):
    path = tmp_path / "x.safetensors"
    path.write_bytes(contents)
    with pytest.raises(CheckpointError, match="x.safetensors"):
        minicnn.load(path)
