"""SqueezeNet, MobileNet and DenseNet in torch: see `twins`."""

import torch
from torch import nn

from .twin_layers import FixedDropout, Fork

FIRE = [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)]


class Added(nn.Module):
    """x + f(x), or shortcut(x) + f(x)."""

    def __init__(self, inner, shortcut=None):
        super().__init__()
        self.inner, self.shortcut = inner, shortcut

    def forward(self, x):
        return self.inner(x) + (x if self.shortcut is None else self.shortcut(x))


def squeezenet(masks, classes, version="1_0", bypass="none"):
    c_in, size, pools = (96, 7, (2, 6)) if version == "1_0" else (64, 3, (1, 3))

    def pool():
        return nn.MaxPool2d(3, 2, ceil_mode=True)

    layers = [nn.Conv2d(3, c_in, size, 2), nn.ReLU(), pool()]
    for number, (squeeze, expand) in enumerate(FIRE):
        fire = nn.Sequential(
            *(nn.Conv2d(c_in, squeeze, 1), nn.ReLU()),
            Fork(nn.Conv2d(squeeze, expand, 1), nn.Conv2d(squeeze, expand, 3, padding=1)),
            nn.ReLU(),
        )
        if bypass != "none" and c_in == 2 * expand:
            fire = Added(fire)
        elif bypass == "complex":
            fire = Added(fire, nn.Conv2d(c_in, 2 * expand, 1))
        layers.append(fire)
        layers += [pool()] if number in pools else []
        c_in = 2 * expand
    return nn.Sequential(
        *(*layers, FixedDropout(0.5, masks), nn.Conv2d(512, classes, 1), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )


def conv_bn(c_in, c_out, size, stride=1, groups=1, eps=1e-5, relu=nn.ReLU6):
    return [
        nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out, eps=eps),
        *([relu()] if relu else []),
    ]


def mobilenet_v1(classes, alpha):
    widths = [64, 128, 128, 256, 256, *6 * [512], 1024, 1024]
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    rest = {"eps": 1e-3, "relu": nn.ReLU}
    c = int(32 * alpha)
    layers = conv_bn(3, c, 3, 2, **rest)
    for width, stride in zip(widths, strides, strict=True):
        layers += conv_bn(c, c, 3, stride, groups=c, **rest)
        layers += conv_bn(c, int(width * alpha), 1, **rest)
        c = int(width * alpha)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes))


def mobilenet_v2(masks, classes, widths=(32, 16, 24, 32, 64, 96, 160, 320)):
    rows = [(1, 1, 1), (6, 2, 2), (6, 3, 2), (6, 4, 2), (6, 3, 1), (6, 3, 2), (6, 1, 1)]
    c_in, *widths = widths
    layers = conv_bn(3, c_in, 3, 2)
    for c, (t, n, s) in zip(widths, rows, strict=True):
        for stride in [s] + [1] * (n - 1):
            wide = c_in * t
            inner = nn.Sequential(
                *(conv_bn(c_in, wide, 1) if t > 1 else []),
                *conv_bn(wide, wide, 3, stride, groups=wide),
                *conv_bn(wide, c, 1, relu=None),
            )
            layers.append(Added(inner) if stride == 1 and c_in == c else inner)
            c_in = c
    layers += [*conv_bn(c_in, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, FixedDropout(0.2, masks), nn.Linear(1280, classes))


class DenseLayer(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return torch.cat([x, self.inner(x)], 1)


def densenet(masks, classes, counts, k, *, bc=True, cifar=False, drop_rate=0.0):
    """The authors' Lua code: dropout behind every convolution but the first."""

    def step(c_in, c_out, size):
        layers = [nn.BatchNorm2d(c_in), nn.ReLU()]
        layers.append(nn.Conv2d(c_in, c_out, size, padding=size // 2, bias=False))
        return layers + ([FixedDropout(drop_rate, masks)] if drop_rate else [])

    c = 16 if cifar and not bc else 2 * k
    layers = [nn.Conv2d(3, c, 3, 1, 1, bias=False)]
    if not cifar:
        layers = [nn.Conv2d(3, c, 7, 2, 3, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
        layers.append(nn.MaxPool2d(3, 2, 1))
    for number, count in enumerate(counts):
        if number:
            layers += [*step(c, c // 2 if bc else c, 1), nn.AvgPool2d(2)]
            c = c // 2 if bc else c
        for _ in range(count):
            inner = [*step(c, 4 * k, 1), *step(4 * k, k, 3)] if bc else step(c, k, 3)
            layers.append(DenseLayer(nn.Sequential(*inner)))
            c += k
    layers += [nn.BatchNorm2d(c), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(c, classes))


DENSENETS = {
    "densenet121": ((6, 12, 24, 16), 32),
    "densenet169": ((6, 12, 32, 32), 32),
    "densenet201": ((6, 12, 48, 32), 32),
    "densenet161": ((6, 12, 36, 24), 48),
}


def pair(name, classes, full=False):
    """See `twins.pair`."""
    options = {} if full else {"input_size": 64}
    if name.startswith("squeezenet"):
        version = name.removeprefix("squeezenet")
        return options, lambda masks: squeezenet(masks, classes, version)
    if name == "mobilenet_v1":
        alpha = 1.0 if full else 0.25
        return options | {"alpha": alpha}, lambda masks: mobilenet_v1(classes, alpha)
    if name == "mobilenet_v2":
        if full:
            return {}, lambda masks: mobilenet_v2(masks, classes)
        narrow = (16, 8, 8, 16, 24, 32, 56, 112)  # multiples of 8 near 0.35 times the others
        return options | {"alpha": 0.35}, lambda masks: mobilenet_v2(masks, classes, narrow)
    if name in DENSENETS:
        return options, lambda masks: densenet(masks, classes, *DENSENETS[name])
    bc = "_bc_" in name
    small = {"depth": 16 if bc else 13, "growth_rate": 5, "drop_rate": 0.2}
    options = {} if full else small
    depth, k = options.get("depth", 100 if bc else 40), options.get("growth_rate", 12)
    counts = [(depth - 4) // (6 if bc else 3)] * 3
    drop_rate = options.get("drop_rate", 0.0)
    return options, lambda masks: densenet(
        masks, classes, counts, k, bc=bc, cifar=True, drop_rate=drop_rate
    )
