"""Networks of the zoo are recognized by names, shapes and geometry; nothing else is."""

import math

import numpy as np
import pytest

from minicnn import registry
from minicnn.caffe import from_caffe, to_caffe
from minicnn.caffe.build import build
from minicnn.caffe.describe import describe
from minicnn.caffe.net import Net
from minicnn.caffe.steps import plan
from minicnn.caffe.zoo import known_shape, signature
from minicnn.layers import Graph
from minicnn.layers.init import skip_init

KNOWN = [name for name in registry.names() if registry.entry(name).caffe]
LAYERS = {  # some layers of the files of Caffe's model zoo and of the authors
    "alexnet_two_gpu": "conv1 conv5 fc6 fc7 fc8 norm1",
    "googlenet": "conv1/7x7_s2 conv2/3x3_reduce conv2/3x3 inception_3a/1x1 inception_3a/3x3_reduce "
    "inception_5b/5x5 inception_4e/pool_proj inception_4c/output loss3/classifier loss1/conv "
    "loss2/fc loss2/classifier loss1/ave_pool",
    "lenet_caffe": "conv1 pool1 conv2 pool2 ip1 ip2",
    "nin_imagenet": "conv1 cccp1 cccp6 conv4-1024 cccp8-1024 pool4",
    "resnet50_v1": "conv1 bn_conv1 scale_conv1 res2a_branch1 bn2a_branch1 scale2a_branch1 "
    "res2a_branch2b res3d_branch2c bn4f_branch2a res5c fc1000",
    "resnet101_v1": "res2c_branch2a res3b3_branch2a res4b22_branch2c bn4b1_branch2b res5c_branch2c",
    "resnet152_v1": "res3b7_branch2a res4b35_branch2c bn4b1_branch2b res2b res5a_branch1",
    "vgg16": "conv1_1 conv5_3 fc6 fc8",
    "vgg19": "conv3_4 conv5_4 pool5",
}


def described(name, **options):
    """A network of the zoo as Caffe has it; its weights take no memory, as nobody reads them."""
    with skip_init():
        network = registry.create(name, **options)
    return describe(network, registry.entry(name).caffe.names, with_heads=True)


def built(found):
    (_, c, h, w) = found.net.inputs["data"]
    return build(plan(found.net, found.output), (h, w, c), False)[0]


@pytest.mark.parametrize("name", LAYERS)
def test_names(name):
    names = {layer.name for layer in described(name).net.layers}
    assert set(LAYERS[name].split()) <= names


def test_every_network_has_a_signature_of_its_own():
    """Each form of each network: none is taken for another one."""
    signatures = {}
    for name in KNOWN:
        for options in registry.entry(name).caffe.variants:
            if options.get("aux"):
                continue  # its output is computed as without them
            made = described(name, **options)
            found = signature(built(made))
            assert found not in signatures or name == "nin_cifar100", (name, signatures[found])
            signatures[found] = name
            size = sum(math.prod(b.shape) for layer in made.net.layers for b in layer.blobs)
            form = registry.entry(name).caffe
            assert form.parameters * 0.9 < size < form.parameters * 1.1, (name, size)
    assert len(signatures) > 15


def test_shape_by_names():
    """A .caffemodel of LeNet does not give the size of its input, but that of the zoo is known."""
    found = described("lenet_caffe")
    assert known_shape(plan(found.net, found.output)) == (28, 28, 1)
    found = described("lenet_caffe")
    found.net.layers[0].name = "conv_1"
    assert known_shape(plan(found.net, found.output)) is None


def changed(tmp_path, old, new):
    """Our LeNet for another geometry or form, as Caffe's files that say so."""
    network = registry.create("lenet_caffe", seed=0)
    model, text = to_caffe(network, tmp_path / "net.caffemodel")
    assert old in text.read_text()
    text.write_text(text.read_text().replace(old, new))
    return from_caffe(model, text)


def test_geometry_is_checked(tmp_path):
    """Names and weights of LeNet, but means in place of maxima: a Graph that computes means."""
    assert changed(tmp_path, "stride: 2", "stride: 2").name == "lenet_caffe"
    found = changed(tmp_path, "kernel_size: 2", "kernel_size: 2\n    pool: AVE")
    assert isinstance(found, Graph)
    assert found.name == "lenet_caffe of Caffe"
    assert isinstance(changed(tmp_path, '"ReLU"', '"Sigmoid"'), Graph)


def test_other_numbers_of_classes(tmp_path):
    network = registry.create("lenet_caffe", seed=0, num_classes=3)
    found = from_caffe(*to_caffe(network, tmp_path / "net.caffemodel"))
    assert (found.name, found.options) == ("lenet_caffe", {"num_classes": 3})
    x = np.ones((1, 28, 28, 1), np.float32)
    np.testing.assert_array_equal(found(x), network.eval()(x))


def test_bias_before_a_batch_norm():
    """He's ResNet-50 has a bias in conv1: it moves into the mean, and nothing else changes."""
    found = described("resnet50_v1", caffe_pool=True)
    plain = signature(built(found))
    conv = found.net.layers[0].message.get("convolution_param")
    conv.values["bias_term"] = [True]
    assert signature(built(with_bias(found))) == plain


def with_bias(found):
    first = found.net.layers[0]
    first.blobs.append(first.blobs[0].__class__((64,), lambda: np.ones(64, np.float32)))
    layers = [first, *found.net.layers[1:]]
    net = Net(found.net.name, layers, found.net.inputs, None, False)
    return found.__class__(net, found.output, found.heads)
