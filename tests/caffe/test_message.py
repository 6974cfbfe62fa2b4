"""Messages, against Google's protobuf library with the same field numbers."""

import numpy as np
import pytest

from minicnn.caffe.message import Message, read_binary, write_binary
from minicnn.caffe.schema import MESSAGES
from minicnn.errors import CheckpointError

TYPES = {"int": 3, "bool": 8, "float": 2, "double": 1, "string": 9, "enum": 5}


def library():
    """Google's classes for the messages of the schema; skips without that library."""
    protobuf = pytest.importorskip("google.protobuf")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    assert protobuf
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="c", syntax="proto2")
    for kind, message in MESSAGES.items():
        made = file.message_type.add(name=kind)
        for field in message.values():
            if field.type == "-":
                continue
            added = made.field.add(
                name=field.name, number=field.number, label=1 + 2 * field.repeated
            )
            added.type = TYPES.get(field.type, 11)
            if added.type == 11:
                added.type_name = f".c.{field.type}"
            if field.repeated and field.type in ("float", "double"):
                added.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("c.NetParameter"))


def test_schema():
    """Numbers that the documentation of Caffe's proto prints."""
    assert MESSAGES["NetParameter"]["layer"].number == 100
    assert MESSAGES["LayerParameter"]["prelu_param"].number == 131
    assert MESSAGES["V1LayerParameter"]["type"].words[14] == "INNER_PRODUCT"
    assert len(MESSAGES["V1LayerParameter"]["type"].words) == 40
    assert MESSAGES["PoolingParameter"]["pool"].words == ("MAX", "AVE", "STOCHASTIC")
    types = {f.type for message in MESSAGES.values() for f in message.values()}
    assert types <= {*TYPES, *MESSAGES, "-"}
    for message in MESSAGES.values():
        assert len({field.number for field in message.values()}) == len(message)


def sample():
    """A message with every type of field."""
    shape = Message("BlobShape").add("dim", 2, 3)
    data = np.arange(6, dtype=np.float32) / 7
    blob = Message("BlobProto").add("shape", shape).add("data", data).add("num", -1)
    blob.add("double_data", np.array([0.1, 1e300]))
    convolution = Message("ConvolutionParameter").add("bias_term", False).add("pad", 1, 300)
    pool = Message("PoolingParameter").add("pool", "STOCHASTIC")
    layer = Message("LayerParameter").add("name", "conv/1 é").add("bottom", "a", "b")
    layer.add("blobs", blob, blob).add("convolution_param", convolution).add("pooling_param", pool)
    layer.add("lrn_param", Message("LRNParameter").add("alpha", 0.25))
    return Message("NetParameter").add("name", "net").add("layer", layer, layer)


def test_against_the_library():
    """What one writes, the other reads; unpacked numbers, as in old files, too."""
    net = library()()
    net.ParseFromString(write_binary(sample()))
    layer = net.layer[1]
    assert (layer.name, list(layer.bottom), layer.pooling_param.pool) == ("conv/1 é", ["a", "b"], 2)
    assert list(layer.convolution_param.pad) == [1, 300]
    assert layer.convolution_param.bias_term is False
    assert layer.HasField("lrn_param")
    np.testing.assert_array_equal(layer.blobs[0].data, np.arange(6, dtype=np.float32) / 7)
    assert layer.blobs[0].num == -1
    back = read_binary(net.SerializeToString(), "NetParameter")
    assert type(net).FromString(write_binary(back)) == net
    assert back.get("layer").get("convolution_param").all("pad") == [1, 300]
    assert back.get("layer").get("pooling_param").get("pool") == "STOCHASTIC"


def test_numbers_that_are_not_packed():
    data = b"".join(b"\x2d" + np.float32(i).tobytes() for i in range(5))
    np.testing.assert_array_equal(read_binary(data, "BlobProto").numbers("data"), range(5))


@pytest.mark.parametrize(
    ("kind", "contents", "text"),
    [
        ("PoolingParameter", b"\x08\x07", "PoolingParameter.pool is 7; expected 0 to 2"),
        ("BlobProto", b"\x2a\x03abc", "BlobProto.data has 3 bytes; expected whole numbers"),
        ("LRNParameter", b"\x10\x01", "LRNParameter.alpha is an integer; expected float"),
        ("NetParameter", b"\xa2\x06\x02\x0a\x05", "field 1 has 5 bytes, of which 0 are there"),
    ],
)
def test_damaged(kind, contents, text):
    with pytest.raises(CheckpointError, match=text):
        read_binary(contents, kind)


def test_unknown_fields_are_kept_by_number():
    assert read_binary(b"\xf8\x07\x01", "LRNParameter").unknown == ["number 127"]
