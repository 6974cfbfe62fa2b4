"""The time of every operation on the CPU backend, from its work and the speed of the machine.

    convolution:  t = 4 cost / (peak e),  cost of the algorithm that `kernels.cpu.conv` chooses
    depthwise:    the larger of that and bytes / (bandwidth e')
    linear:       t = max(flops / (peak e), bytes / (bandwidth e'))
    others:       t = bytes / (bandwidth e)

and the overhead of a call. `cost` counts cycles with two multiply-adds each, with the transforms of
Winograd's algorithm; times four it is operations. e is the efficiency of a kind of kernel, the same
for all shapes and networks: measured on an AMD EPYC with AVX-512, two threads, and rounded. Bytes
count each array once. A kernel that reads an array twice therefore has a low e, and one whose
arrays stay in a cache one above 1.
"""

from ...kernels.cpu.conv import cost
from ...machine import Machine
from .counts import Call, as_convolution, bytes_of, flops
from .shapes import algorithm_of, geometry_of

# Per pass: the direct algorithm, that of 1x1 kernels, and Winograd's with few and many channels.
CONVOLUTIONS = {
    "conv2d": {"direct": 0.9, "1x1": 0.8, "winograd few": 0.8, "winograd": 0.8},
    "conv2d_grad_input": {"direct": 0.8, "1x1": 0.7, "winograd few": 0.78, "winograd": 0.78},
    "conv2d_grad_weight": {"direct": 0.75, "1x1": 0.6, "winograd few": 0.55, "winograd": 0.85},
}
# Of products and of bytes: measured in a training step and an inference of MobileNet v2.
DEPTHWISE = {
    "conv2d": (0.25, 0.48),
    "conv2d_grad_input": (0.22, 0.4),
    "conv2d_grad_weight": (0.28, 0.35),
}
FEW = 128 * 128  # products of input and output channels up to which they are few
# The direct algorithm loads and stores results at each pixel: with few values per patch, such as
# 27 for 3x3 kernels on color, that takes most of the time. e is halved at this number of values.
HALF_DEPTH = 40
SAME_AS = {
    "conv2d_affine": "conv2d",
    "conv2d_grad_input_relu": "conv2d_grad_input",
    "conv2d_grad_input_add": "conv2d_grad_input",
}
# A call in a network, with the checks of its layer and the records of its kernel, takes so many
# times that of an addition of a few numbers, which is measured.
CALLS = 4
LINEAR = 0.5
# Weights, which no cache holds, are read and written at a lower rate than arrays of a copy.
WEIGHTS = {"linear": 0.18, "linear_grad_input": 0.17, "linear_grad_weight": 0.12}
BYTES = {
    "batch_norm": 0.41,
    "batch_norm_add": 0.45,
    "batch_norm_grad": 0.32,
    "group_norm": 0.4,
    "group_norm_grad": 0.4,
    "layer_norm": 0.7,
    "layer_norm_grad": 0.6,
    "max_pool2d": 0.27,
    "max_pool2d_grad": 0.25,
    "local_response_norm": 0.4,
    "local_response_norm_grad": 0.4,
    "dropout": 0.4,
}
OTHERS = 0.8  # sums, activations, averages and updates


def seconds(call: Call, machine: Machine) -> float:
    """The time of a call, whose arrays may be imagined."""
    return CALLS * machine.call + _seconds(as_convolution(call), machine)


def _seconds(call: Call, machine: Machine) -> float:
    name = SAME_AS.get(call.operation, call.operation)
    moved = bytes_of(call)
    if name in CONVOLUTIONS:
        return _convolution(call, name, machine)
    products = flops(call)
    if products:
        return _linear(products, moved, name, machine)
    return moved / (machine.bytes * BYTES.get(name, OTHERS))


def _linear(products: int, moved: int, name: str, machine: Machine) -> float:
    """Of a matrix product whose right side is the weights."""
    return max(
        products / (machine.flops * LINEAR), moved / (machine.bytes * WEIGHTS.get(name, 0.2))
    )


def kind_of(call: Call) -> str:
    """The kind of kernel: the operation, and the algorithm of a convolution."""
    call = as_convolution(call)
    name = SAME_AS.get(call.operation, call.operation)
    if name not in CONVOLUTIONS:
        return name
    a = _with_image_shape(call)
    algorithm = algorithm_of(a)
    is_pointwise = algorithm == "direct" and geometry_of(a)[0].kernel == (1, 1)
    return f"{name} {'1x1' if is_pointwise else algorithm}"


def _with_image_shape(call: Call) -> dict:
    """The arguments; the fused input gradients take images of dx's shape."""
    a = call.arguments
    images = {"conv2d_grad_input_relu": "x", "conv2d_grad_input_add": "other"}.get(call.operation)
    return {**a, "x_shape": a[images].shape} if images else a


def _convolution(call: Call, name: str, machine: Machine) -> float:
    a = _with_image_shape(call)
    algorithm, (geometry, images, shape) = algorithm_of(a), geometry_of(a)
    if algorithm == "linear":
        return _linear(flops(call), bytes_of(call), name.replace("conv2d", "linear"), machine)
    sizes = images[0], geometry, images[3], shape[3], a["groups"]
    if algorithm == "depthwise":
        products, bytes = DEPTHWISE[name]
        return max(
            4 * cost(algorithm, *sizes) / (machine.flops * products),
            bytes_of(call) / (machine.bytes * bytes),
        )
    few = " few" if shape[2] * shape[3] <= FEW else ""
    kind = "1x1" if geometry.kernel == (1, 1) else algorithm.rstrip("24")
    e = CONVOLUTIONS[name][kind + few * (kind == "winograd")]
    if kind == "direct":
        depth = shape[0] * shape[1] * shape[2]
        e *= depth / (depth + HALF_DEPTH)
    return 4 * cost(algorithm, *sizes) / (machine.flops * e)
