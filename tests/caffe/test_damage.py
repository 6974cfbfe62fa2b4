"""Damaged and lying files: a network, or one sentence that names the file; never a traceback.

`python -m tests.caffe.test_damage 2000` tries that many, and measures the memory.
"""

import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from minicnn.caffe import from_caffe, read_mean
from minicnn.caffe.message import Message, write_binary
from minicnn.errors import CheckpointError
from tests.damage import damage

from . import nets

TEXT = """name: "net" input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 group: 1 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { eps: 1e-4 } }
layer { name: "s" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "PReLU" bottom: "conv" top: "relu" }
layer { name: "pool" type: "Pooling" bottom: "relu" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "cut" type: "Slice" bottom: "pool" top: "a" top: "b"
  slice_param { slice_point: 1 axis: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "a" top: "up"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "up" bottom: "b" top: "sum"
  eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
layer { name: "norm" type: "LRN" bottom: "sum" top: "norm" lrn_param { local_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
NUMBERS = [0, 1, 2, 3, 5, 2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1, -1, -(2**63), 10**30]
ALLOWED = 8 * 2**20  # bytes beyond what the file has: those of the network, and of Python


def blobs():
    return {
        "conv": [nets.array(4, 3, 3, 3), nets.array(4)],
        "bn": [nets.array(4), nets.array(4, offset=9), nets.array(1, offset=5)],
        "s": [nets.array(4), nets.array(4)],
        "relu": [nets.array(4)],
        "up": [nets.array(1, 3, 1, 1), nets.array(3)],
        "ip": [nets.array(5, 3 * 3 * 3), nets.array(5)],
    }


def lie(text, generator):
    """A description in which one number, or one word, is another one."""
    words = text.split()
    places = [i for i, word in enumerate(words) if word.lstrip("-").replace(".", "").isalnum()]
    place = places[generator.integers(len(places))]
    other = words[places[generator.integers(len(places))]]
    number = str(NUMBERS[generator.integers(len(NUMBERS))])
    words[place] = number if generator.integers(4) else other
    return " ".join(words)


def attempts(folder, count, seed=0):
    """The outcome of each of `count` damaged pairs of files: "read", or the message."""
    generator = np.random.default_rng(seed)
    model, text = folder / "net.caffemodel", folder / "net.prototxt"
    whole = nets.write(model, TEXT, blobs()).read_bytes()
    for number in range(count):
        kind = number % 4
        model.write_bytes(damage(whole, generator) if kind < 2 else whole)
        contents = TEXT.encode()
        if kind == 1:
            contents = damage(contents, generator)
        elif kind == 2:
            contents = lie(TEXT, generator).encode()
        elif kind == 3:  # the same lie in the binary
            try:
                nets.write(model, lie(TEXT, generator), blobs())
            except (AssertionError, CheckpointError, ValueError, OverflowError):
                continue
        text.write_bytes(contents)
        try:
            network = from_caffe(model, None if kind in (0, 3) else text, report=str)
        except CheckpointError as error:
            assert "\n" not in str(error), str(error)
            assert "net.caffemodel: " in str(error) or "net.prototxt: " in str(error), str(error)
            yield str(error)
        else:
            assert all(np.isfinite(p.value).all() for p in network.parameters())
            yield "read"


def test_damaged_files(tmp_path):
    """A sample; most are rejected, in many ways, and none needs memory."""
    tracemalloc.start()
    try:
        found = list(attempts(tmp_path, 100))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < ALLOWED, f"{peak:,} bytes"
    assert 0.3 < np.mean([text != "read" for text in found]) < 1
    assert len(set(found)) > 30


def test_damaged_mean_images(tmp_path):
    path = tmp_path / "mean.binaryproto"
    blob = nets.old(nets.array(1, 3, 4, 5, offset=100))
    path.write_bytes(write_binary(blob))
    image = read_mean(path, "rgb")
    expected = blob.numbers("data").reshape(3, 4, 5).transpose(1, 2, 0) / 255
    np.testing.assert_allclose(image.values, expected, rtol=1e-6)
    np.testing.assert_array_equal(read_mean(path).values, image.values[..., ::-1])
    for contents, text in (
        (write_binary(blob)[:90], "not a mean image, or damaged"),
        (write_binary(Message("BlobProto").add("num", 1)), "an array of shape|it has the shape"),
        (write_binary(nets.array(1, 2, 3, 4)), r"it has the shape \(2, 3, 4\)"),
        (write_binary(nets.array(3, 4, 4, offset=np.inf)), "numbers that are not finite"),
    ):
        path.write_bytes(contents)
        with pytest.raises(CheckpointError, match=text) as caught:
            read_mean(path)
        assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_mean(tmp_path / "missing.binaryproto")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        tracemalloc.start()
        outcomes = list(attempts(Path(name), int(sys.argv[1]), seed=1))
        peak = tracemalloc.get_traced_memory()[1]
        read, kinds = outcomes.count("read"), len(set(outcomes))
        print(f"{len(outcomes)} files, {read} read, {kinds} messages, {peak:,} bytes at most")
