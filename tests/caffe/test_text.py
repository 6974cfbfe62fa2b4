"""The text format, against Google's protobuf library."""

import pytest

from minicnn.caffe.message import write_binary
from minicnn.caffe.text import read_text
from minicnn.errors import CheckpointError

from .test_message import library

TEXT = """# a comment { with marks
name: "a \\"net\\"" 'of two' " parts\\n"
input_dim: 1, input_dim: 0x3; input_dim: [4, 5]
layer {
  name: 'conv' type: "Convolution" bottom: ["x", "y"]  # behind
  convolution_param < num_output: 20 bias_term: false pad: 1 >
  lrn_param: { alpha: 1e-4 beta: .75f k: -2. }
  pooling_param { pool: AVE; }
  param { lr_mult: 1 } param { name: "shared" nested { deep: [1, { a: 2 }] } }
  include { phase: TEST }
}
"""


def test_against_the_library():
    pytest.importorskip("google.protobuf")
    from google.protobuf import text_format

    net = library()()
    text = TEXT.replace("pool: AVE", "pool: 1").replace("phase: TEST", "phase: 1")
    text_format.Parse("\n".join(x for x in text.split("\n") if "param { lr_mult" not in x), net)
    ours = read_text(TEXT, "NetParameter")
    assert type(net).FromString(write_binary(ours)) == net
    assert ours.get("name") == 'a "net"of two parts\n'
    assert ours.all("input_dim") == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("name: 3", "line 1: NetParameter.name is 3; expected string"),
        ("\n\nlayer { name 'x' }", r"line 3 has \"'x'\"; expected ':' or '{' after name"),
        ("layer {\n name: 'x'\n", "line 3 has its end; expected the name of a field, or '}'"),
        ("layer { pooling_param { pool: MIN } }", "pool is MIN; expected one of MAX, AVE, STOCH"),
        ("layer { pooling_param { pool: -1 } }", "pool is -1; expected one of MAX, AVE, STOCH"),
        ("input_dim: 1.5", "input_dim is 1.5; expected int"),
        ("layer { dropout_param { dropout_ratio: half } }", "is half; expected float"),
        ("layer: 3", "NetParameter.layer is 3; expected LayerParameter"),
        ("name { }", "NetParameter.name is a message; expected string"),
        ("input_dim: [1, 2", "line 1 has its end; expected ',' or ']'"),
        ("layer { param { a { ", "line 1 has its end; expected '}'"),
        ("name: 'a", 'line 1 has "\'", which has no meaning there'),
        ("}", "line 1 has '}'; expected the name of a field"),
        ("name:", "line 1 has its end; expected the value of name"),
        ("layer { concat_param { axis: -1 } } }", "expected the name of a field"),
        ("é", "line 1 has 'é', which has no meaning there"),
    ],
)
def test_damaged(text, error):
    with pytest.raises(CheckpointError, match=error) as caught:
        read_text(text, "NetParameter")
    assert "\n" not in str(caught.value)


def test_unknown_fields_are_noted():
    net = read_text(
        "state { level: 1 } layer { lrn_param { spread: 1 wide { x: 2 } } } new: inf",
        "NetParameter",
    )
    assert net.unknown == ["new"]
    assert net.unknown_messages == []
    assert net.get("layer").get("lrn_param").unknown == ["spread", "wide"]
    assert net.get("layer").get("lrn_param").unknown_messages == ["wide"]


def test_truths():
    """As protobuf's own readers, also with a capital."""
    for word, expected in (("True", True), ("t", True), ("False", False), ("0", False)):
        net = read_text(f"layer {{ scale_param {{ bias_term: {word} }} }}", "NetParameter")
        assert net.get("layer").get("scale_param").get("bias_term") is expected
