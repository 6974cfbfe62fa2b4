"""GoogLeNet: the sizes and operations of the paper's table 1, and where the heads are."""

from minicnn import models
from minicnn.layers.init import skip_init

from .starts import assert_loss_falls
from .tables import table


def test_sizes():
    found = table("googlenet", aux=False)
    modules = {}
    for row in found.rows:
        module = row.name.split(".")[0]
        if module.startswith("inception"):
            modules.setdefault(module, []).append(row)
    channels = {
        m: sum(r.output[2] for r in rows if r.name.endswith((".branch1", ".1")))
        for m, rows in modules.items()
    }
    expected = {
        "3a": 256,
        "3b": 480,
        "4a": 512,
        "4b": 512,
        "4c": 512,
        "4d": 528,
        "4e": 832,
        "5a": 832,
        "5b": 1024,
    }
    assert channels == {f"inception{m}": c for m, c in expected.items()}
    macs = {m: sum(r.macs for r in rows) for m, rows in modules.items()}
    assert macs["inception3a"] == 128_049_152
    assert macs["inception5b"] == 70_697_984
    rows = {row.name: row.output for row in found.rows}
    assert [rows[n] for n in ("pool1", "pool2", "pool3", "pool4")] == [
        (56, 56, 64),
        (28, 28, 192),
        (14, 14, 480),
        (7, 7, 832),
    ]


def test_auxiliary_classifiers_read_4a_and_4d():
    with skip_init():
        net = models.create("googlenet")
    shapes = {n: p.value.shape for n, p in net.named_parameters() if n.startswith("aux")}
    assert {name.split(".")[0] for name in shapes} == {"aux1", "aux2"}
    assert shapes["aux1.conv.weight"] == (1, 1, 512, 128)
    assert shapes["aux2.conv.weight"] == (1, 1, 528, 128)
    assert shapes["aux1.fc1.weight"] == shapes["aux2.fc1.weight"] == (2048, 1024)
    with skip_init():
        plain = models.create("googlenet", aux=False)
    assert not any(name.startswith("aux") for name in plain.state_dict())


def test_initial_biases():
    """Caffe's filler: 0.2 everywhere, 0 in the layers that give logits."""
    net = models.create("googlenet", seed=0, num_classes=5, input_size=96)
    zero = {n for n, p in net.named_parameters() if n.endswith("bias") and not p.value.any()}
    assert zero == {"fc.bias", "aux1.fc2.bias", "aux2.fc2.bias"}
    assert (net.conv1.bias.value == net.conv1.bias.value.dtype.type(0.2)).all()


def test_loss_of_googlenet_falls(photographs):
    assert_loss_falls("googlenet", photographs, lr=0.003, steps=60, input_size=80)


def test_loss_of_googlenet_bn_falls(photographs):
    assert_loss_falls("googlenet_bn", photographs, lr=0.01, steps=20, input_size=80)
