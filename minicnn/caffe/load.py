"""`from_caffe`: a network from a .caffemodel and, if there is one, its .prototxt."""

import warnings
from collections.abc import Callable
from os import PathLike
from pathlib import Path

from .. import registry
from ..errors import CheckpointError, DataError, brief
from ..kernels.types import Shape
from ..layers import Network
from .build import assemble, build
from .net import Net, check_channels, read_net
from .preprocessing import Mean, preprocess
from .steps import Plan, plan
from .zoo import known_shape, zoo_network

AnyPath = str | PathLike[str]


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=3)


def from_caffe(
    caffemodel: AnyPath,
    prototxt: AnyPath | None = None,
    *,
    input_shape: Shape | None = None,
    channels: str | None = None,
    mean: Mean | None = None,
    output: str | None = None,
    report: Callable[[str], object] = _warn,
) -> Network:
    """The network in a .caffemodel, in evaluation mode.

    prototxt: its description, a deploy or train_val file. Without it, the layers are read from the
        .caffemodel, where Caffe also writes them.
    input_shape: (H, W, C), if the files do not give it.
    channels: "bgr" if the network was trained with images in that order, as Caffe's own tools
        make them: then its first weights are turned to RGB. "rgb": they are left as they are. By
        default "bgr" for an input of three channels, but "rgb" if the files speak of CIFAR, whose
        images Caffe does not turn.
    mean: what is subtracted from the pixels, if the files do not give it: the path of a mean image
        (.binaryproto), gray levels from 0 to 255 in the order R, G, B, or a `MeanImage`.
    output: the name of the array that the network returns, if there are several.
    report: called with a sentence about what is missing; by default a warning.
    Raises CheckpointError, which names the file and the layer, for a damaged file and for what
    minicnn cannot compute.
    """
    if channels is not None:
        check_channels(channels)
    model, text = Path(caffemodel), None if prototxt is None else Path(prototxt)
    net = read_net(model, text)
    source = text or model
    try:
        steps = plan(net, output)
        shape = _input_shape(net, steps, input_shape)
        flipped = shape[-1] == 3 and (channels or net.channels) == "bgr"
        builder, _ = build(steps, shape, flipped)
        network = zoo_network(net, builder) or assemble(builder)
        network.name = network.name or _free_name(net.name or model.stem)
        network.preprocess, said = preprocess(net.transform, network, flipped, mean, source.parent)
    except (CheckpointError, DataError) as error:
        text_ = str(error)
        known = text_.startswith((f"{model}: ", f"{text}: "))
        raise CheckpointError(text_ if known else f"{source}: {text_}") from None
    if said:
        report(f"{source}: {said}")
    return network.eval()


def _free_name(name: str) -> str:
    """A name that no network of the zoo has: that one computes something else."""
    return f"{name} of Caffe" if name in registry.names() else name


def _input_shape(net: Net, steps: Plan, given: Shape | None) -> Shape:
    """(H, W, C) of the input. Raises CheckpointError if no file gives it."""
    if given is not None:
        if len(given) != 3 or min(given) < 1:
            raise ValueError(f"input_shape={brief(given)}: expected (H, W, C)")
        return tuple(given)
    found = net.inputs[steps.input_name]
    if len(found) == 4:
        _, channels, height, width = found
        return height, width, channels
    crop = net.transform.get("crop_size", 0) if net.transform else 0
    if crop > 0 and not found:
        return crop, crop, _channels(steps)
    known = None if found else known_shape(steps)
    if known:
        return known
    raise CheckpointError(
        "it does not give the size of its input: set input_shape=(H, W, C), --input HxWxC"
        + (" or its deploy.prototxt" if net.described_in_binary else "")
    )


def _channels(steps: Plan) -> int:
    """The channels of the input, from the weights of the first layer that reads it."""
    for step in steps.steps:
        if steps.input in step.reads and step.layer.key == "convolution" and step.layer.blobs:
            shape = step.layer.blobs[0].shape
            if len(shape) == 4:
                group = step.layer.parameters("convolution_param").get("group", 1)
                return shape[1] * max(group, 1)
    return 3
