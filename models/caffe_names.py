"""The names that Caffe's files give the layers of GoogLeNet and of ResNet."""

from collections.abc import Callable

GOOGLENET = {
    "conv1": "conv1/7x7_s2",
    "pool1": "pool1/3x3_s2",
    "norm1": "pool1/norm1",
    "conv2": "conv2/3x3_reduce",
    "conv3": "conv2/3x3",
    "norm2": "conv2/norm2",
    "pool2": "pool2/3x3_s2",
    "pool3": "pool3/3x3_s2",
    "pool4": "pool4/3x3_s2",
    "pool5": "pool5/7x7_s1",
    "drop": "pool5/drop_7x7_s1",
    "fc": "loss3/classifier",
    "branch1": "1x1",
    "branch2.0": "3x3_reduce",
    "branch2.1": "3x3",
    "branch3.0": "5x5_reduce",
    "branch3.1": "5x5",
    "branch4.0": "pool",
    "branch4.1": "pool_proj",
    "fc1": "fc",
    "fc2": "classifier",
}


def googlenet(name: str) -> str:
    """The names of bvlc_googlenet: inception3a.branch2.1 is inception_3a/3x3."""
    first, _, rest = name.partition(".")
    if first.startswith("inception"):
        return f"inception_{first[-2:]}/{GOOGLENET.get(rest, rest) if rest else 'output'}"
    if first.startswith("aux"):
        return f"loss{first[-1]}/{GOOGLENET.get(rest, rest) if rest != 'pool' else 'ave_pool'}"
    return GOOGLENET.get(name, name)


def resnet(numbered: bool) -> Callable[[str], str]:
    """The names in the authors' files: layer1.0.body.conv2 is res2a_branch2b, its norm bn2a_...

    numbered: True for ResNet-101 and 152, whose long stages are res4a, res4b1, res4b2, ...
    """
    layers = {"conv1": "conv1", "bn1": "bn_conv1", "fc": "fc1000"}

    def translate(name: str) -> str:
        stage, _, rest = name.partition(".")
        if not stage.startswith("layer") or not rest:
            return layers.get(name, name)
        number, _, rest = rest.partition(".")
        long = numbered and stage in ("layer2", "layer3") and number != "0"
        block = f"{int(stage[5:]) + 1}" + (f"b{number}" if long else "abcdef"[int(number)])
        way, _, layer = rest.partition(".")
        if not layer:
            return f"res{block}"
        branch = f"branch2{'abc'[int(layer[-1]) - 1]}" if way == "body" else "branch1"
        return f"{'bn' if layer.startswith('bn') else 'res'}{block}_{branch}"

    return translate
