"""The same networks in torch, written from the papers and from torchvision's and the authors' code.

They share only the order of the parameters with `models/`. Dropout takes its masks from `masks`, a
list that the test fills, so that both sides drop the same units.
"""

import re

import torch
import torch.nn.functional as F
from torch import nn

from minicnn.models.lenet import rbf_codes

from . import compact_twins
from .twin_layers import FixedDropout, Fork

BLOCKS = {  # per stage (He et al. 2015b, table 1; 200: He et al. 2016, appendix)
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
}


def lrn(paper=True):
    """The paper's constants in torch's convention (alpha is divided by 5 there), or Caffe's."""
    return nn.LocalResponseNorm(
        5, alpha=5e-4 if paper else 1e-4, beta=0.75, k=2.0 if paper else 1.0
    )


def head(features, classes, masks, hidden):
    return [
        *(nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), FixedDropout(0.5, masks)),
        *(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            FixedDropout(0.5, masks),
            nn.Linear(hidden, classes),
        ),
    ]


def alexnet(masks, classes, size, hidden, groups=1, caffe=False):
    def norm_pool():
        pool = nn.MaxPool2d(3, 2, ceil_mode=caffe)
        return [pool, lrn(False)] if caffe else [lrn(), pool]

    extra = -(size - 11) % 4
    side = {67: 1, 99: 2, 227: 6, 224: 6}[size]
    return nn.Sequential(
        *(nn.ZeroPad2d((0, extra, 0, extra)), nn.Conv2d(3, 96, 11, 4), nn.ReLU(), *norm_pool()),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=groups), nn.ReLU(), *norm_pool()),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=groups), nn.ReLU()),
        *(
            nn.Conv2d(384, 256, 3, padding=1, groups=groups),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, ceil_mode=caffe),
        ),
        *head(256 * side * side, classes, masks, hidden),
    )


class GroupedLRN(nn.Module):
    """LRN of each column by itself; alpha is divided by 5 in torch, as in the authors' code."""

    def __init__(self, columns):
        super().__init__()
        self.columns, self.norm = columns, nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=2.0)

    def forward(self, x):
        return torch.cat([self.norm(part) for part in x.chunk(self.columns, 1)], 1)


class WithinMapNorm(nn.Module):
    def forward(self, x):
        sums = F.conv2d(x * x, x.new_ones(x.shape[1], 1, 5, 5), padding=2, groups=x.shape[1])
        return x / (1 + 0.001 / 25 * sums) ** 0.75


def alexnet_2012_code(masks, classes, size, hidden, columns=2, norms=2, overlap=True, talk=True):
    """Net #145 and its variants, from layers/layers-*.cfg."""
    c, p = columns, (2, 1) if overlap else (1, 0)

    def pool():
        return nn.MaxPool2d(3 if overlap else 2, 2, ceil_mode=True)

    maps2, split = (128 if talk else 160) * c, 1 if talk else c
    extra = -(size - 11) % 4
    features = [
        *(nn.ZeroPad2d((0, extra, 0, extra)), nn.Conv2d(3, 48 * c, 11, 4)),
        *([GroupedLRN(c)] if norms else []),
        *(pool(), nn.ReLU(), nn.Conv2d(48 * c, maps2, 5, padding=p[0], groups=c), nn.ReLU()),
        *([GroupedLRN(c), WithinMapNorm()] if norms == 2 else []),
        *(pool(), nn.Conv2d(maps2, 192 * c, 3, padding=1, groups=split), nn.ReLU()),
        *(nn.Conv2d(192 * c, 192 * c, 3, padding=1, groups=c), nn.ReLU()),
        *(nn.Conv2d(192 * c, 256, 3, padding=p[1], groups=c), pool(), nn.ReLU()),
    ]
    side = nn.Sequential(*features)(torch.zeros(1, 3, size, size)).shape[-1]
    if talk:
        return nn.Sequential(*features, *head(256 * side * side, classes, masks, hidden))
    return nn.Sequential(
        *features,
        *(nn.Conv2d(256, 2 * hidden, side, groups=c), nn.ReLU(), FixedDropout(0.5, masks)),
        *(nn.Conv2d(2 * hidden, hidden, 1, groups=c), nn.ReLU(), FixedDropout(0.5, masks)),
        *(nn.Flatten(), nn.Linear(hidden, classes)),
    )


def alexnet_torchvision(masks, classes, hidden):
    return nn.Sequential(
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.AdaptiveAvgPool2d(6), nn.Flatten()),
        *(FixedDropout(0.5, masks), nn.Linear(9216, hidden), nn.ReLU()),
        *(FixedDropout(0.5, masks), nn.Linear(hidden, hidden), nn.ReLU()),
        nn.Linear(hidden, classes),
    )


def zfnet(masks, classes, size, hidden, widths=(384, 384, 256)):
    a, b, c = widths
    side = {224: 6, 64: 1, 96: 2}[size]
    return nn.Sequential(
        *(nn.Conv2d(3, 96, 7, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), lrn()),
        *(nn.Conv2d(96, 256, 5, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), lrn()),
        *(nn.Conv2d(256, a, 3, padding=1), nn.ReLU(), nn.Conv2d(a, b, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(b, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *head(c * side * side, classes, masks, hidden),
    )


VGG = {  # torchvision's way of writing the table; 1 marks C's 1x1 convolutions
    "vgg11": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg11_lrn": [64, "L", "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg13": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "vgg16_c": [64, 64, "M", 128, 128, "M", 256, 256, -256, "M", *2 * [512, 512, -512, "M"]],
    "vgg16": [64, 64, "M", 128, 128, "M", *3 * [256], "M", *3 * [512], "M", *3 * [512], "M"],
    "vgg19": [64, 64, "M", 128, 128, "M", *4 * [256], "M", *4 * [512], "M", *4 * [512], "M"],
}


def vgg(name, masks, classes, hidden):
    layers, channels = [], 3
    for entry in VGG[name.removesuffix("_bn")]:
        if entry == "M":
            layers.append(nn.MaxPool2d(2))
        elif entry == "L":
            layers.append(lrn())
        else:
            size = 3 if entry > 0 else 1
            layers.append(nn.Conv2d(channels, abs(entry), size, padding=size // 2))
            layers += [nn.BatchNorm2d(abs(entry))] if name.endswith("_bn") else []
            layers.append(nn.ReLU())
            channels = abs(entry)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), *head(512 * 49, classes, masks, hidden))


class Inception(nn.Module):
    def __init__(self, conv, third, c_in, one, r3, three, r5, five, project):
        super().__init__()
        self.b1 = conv(c_in, one, 1)
        self.b2 = nn.Sequential(conv(c_in, r3, 1), conv(r3, three, 3))
        self.b3 = nn.Sequential(conv(c_in, r5, 1), conv(r5, five, third))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(c_in, project, 1))

    def forward(self, x):
        return torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1)


class GoogLeNet(nn.Module):
    def __init__(self, masks, classes, kind, aux, side=14):
        super().__init__()
        bn = kind != "paper"

        def conv(c_in, c_out, size, stride=1):
            if bn:
                return nn.Sequential(
                    nn.Conv2d(c_in, c_out, size, stride, size // 2, bias=False),
                    nn.BatchNorm2d(c_out, eps=1e-3),
                    nn.ReLU(),
                )
            return nn.Sequential(nn.Conv2d(c_in, c_out, size, stride, size // 2), nn.ReLU())

        third = 3 if kind == "torchvision" else 5
        norm = (lambda: [lrn(False)]) if kind == "paper" else (lambda: [])
        pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)  # noqa: E731
        self.stem = nn.Sequential(
            conv(3, 64, 7, 2), pool(), *norm(), conv(64, 64, 1), conv(64, 192, 3), *norm(), pool()
        )
        self.three = nn.Sequential(
            Inception(conv, third, 192, 64, 96, 128, 16, 32, 32),
            Inception(conv, third, 256, 128, 128, 192, 32, 96, 64),
            pool(),
        )
        self.a4 = Inception(conv, third, 480, 192, 96, 208, 16, 48, 64)
        self.bcd4 = nn.Sequential(
            Inception(conv, third, 512, 160, 112, 224, 24, 64, 64),
            Inception(conv, third, 512, 128, 128, 256, 24, 64, 64),
            Inception(conv, third, 512, 112, 144, 288, 32, 64, 64),
        )
        self.rest = nn.Sequential(
            Inception(conv, third, 528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool2d(2, 2, ceil_mode=True) if kind == "torchvision" else pool(),
            Inception(conv, third, 832, 256, 160, 320, 32, 128, 128),
            Inception(conv, third, 832, 384, 192, 384, 48, 128, 128),
        )
        self.drop, self.fc = (
            FixedDropout(0.4 if kind == "paper" else 0.2, masks),
            nn.Linear(1024, classes),
        )
        self.aux = aux
        if aux:
            out = 4 if kind == "torchvision" else (side - 5) // 3 + 1

            def classifier(c_in):
                squeeze = nn.AdaptiveAvgPool2d(4) if kind == "torchvision" else nn.AvgPool2d(5, 3)
                return nn.Sequential(
                    *(
                        squeeze,
                        conv(c_in, 128, 1),
                        nn.Flatten(),
                        nn.Linear(128 * out * out, 1024),
                        nn.ReLU(),
                    ),
                    *(FixedDropout(0.7, masks), nn.Linear(1024, classes)),
                )

            self.aux1, self.aux2 = classifier(512), classifier(528)

    def forward(self, x):
        a = self.a4(self.three(self.stem(x)))
        aux1 = self.aux1(a) if self.aux and self.training else None
        d = self.bcd4(a)
        aux2 = self.aux2(d) if self.aux and self.training else None
        logits = self.fc(self.drop(self.rest(d).mean((2, 3))))
        return (logits, aux1, aux2) if aux1 is not None else logits


def inception_v4(masks, classes):
    def c(c_in, c_out, size, stride=1, valid=False):
        kh, kw = size if isinstance(size, tuple) else (size, size)
        conv = nn.Conv2d(
            c_in, c_out, (kh, kw), stride, 0 if valid else (kh // 2, kw // 2), bias=False
        )
        return nn.Sequential(conv, nn.BatchNorm2d(c_out, eps=1e-3), nn.ReLU())

    def s(*layers):
        return nn.Sequential(*layers)

    def average(c_in, c_out):
        return s(nn.AvgPool2d(3, 1, 1, count_include_pad=False), c(c_in, c_out, 1))

    def a():
        return Fork(
            c(384, 96, 1),
            s(c(384, 64, 1), c(64, 96, 3)),
            s(c(384, 64, 1), c(64, 96, 3), c(96, 96, 3)),
            average(384, 96),
        )

    def b():
        return Fork(
            c(1024, 384, 1),
            s(c(1024, 192, 1), c(192, 224, (1, 7)), c(224, 256, (7, 1))),
            s(
                c(1024, 192, 1),
                c(192, 192, (7, 1)),
                c(192, 224, (1, 7)),
                c(224, 224, (7, 1)),
                c(224, 256, (1, 7)),
            ),
            average(1024, 128),
        )

    def e():
        def fork(n):
            return Fork(c(n, 256, (1, 3)), c(n, 256, (3, 1)))

        return Fork(
            c(1536, 256, 1),
            s(c(1536, 384, 1), fork(384)),
            s(c(1536, 384, 1), c(384, 448, (3, 1)), c(448, 512, (1, 3)), fork(512)),
            average(1536, 256),
        )

    return s(
        *(
            c(3, 32, 3, 2, True),
            c(32, 32, 3, 1, True),
            c(32, 64, 3),
            Fork(nn.MaxPool2d(3, 2), c(64, 96, 3, 2, True)),
        ),
        Fork(
            s(c(160, 64, 1), c(64, 96, 3, 1, True)),
            s(c(160, 64, 1), c(64, 64, (1, 7)), c(64, 64, (7, 1)), c(64, 96, 3, 1, True)),
        ),
        Fork(c(192, 192, 3, 2, True), nn.MaxPool2d(3, 2)),
        *(a() for _ in range(4)),
        Fork(
            c(384, 384, 3, 2, True),
            s(c(384, 192, 1), c(192, 224, 3), c(224, 256, 3, 2, True)),
            nn.MaxPool2d(3, 2),
        ),
        *(b() for _ in range(7)),
        Fork(
            s(c(1024, 192, 1), c(192, 192, 3, 2, True)),
            s(c(1024, 256, 1), c(256, 256, (1, 7)), c(256, 320, (7, 1)), c(320, 320, 3, 2, True)),
            nn.MaxPool2d(3, 2),
        ),
        *(e() for _ in range(3)),
        *(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            FixedDropout(0.2, masks),
            nn.Linear(1536, classes),
        ),
    )


class Block(nn.Module):
    """Basic or bottleneck, original or pre-activation, any shortcut: both papers of He et al."""

    def __init__(self, c_in, width, stride, *, bottleneck, option, v1, pre=None):
        super().__init__()
        out = width * (4 if bottleneck else 1)
        shapes = [(c_in, width, 3, stride), (width, width, 3, 1)]
        if bottleneck:
            first, second = (stride, 1) if v1 else (1, stride)
            shapes = [(c_in, width, 1, first), (width, width, 3, second), (width, out, 1, 1)]
        self.pre, self.option, self.stride, self.new = pre, option, stride, out - c_in
        self.order = nn.ModuleList()  # the modules, so that parameters come in the order of use
        self.norms, self.convs = [], []
        for position, (a, b, size, step) in enumerate(shapes):
            conv = nn.Conv2d(a, b, size, step, size // 2, bias=False)
            norm = None if pre == "first" and position == 0 else nn.BatchNorm2d(a if pre else b)
            self.order.extend([m for m in ((norm, conv) if pre else (conv, norm)) if m is not None])
            self.convs.append(conv)
            self.norms.append(norm if norm is not None else nn.Identity())
        self.project = None
        if (self.new or stride > 1 or option == "C") and option != "A":
            conv = nn.Conv2d(c_in, out, 1, stride, bias=False)
            self.project = conv if pre else nn.Sequential(conv, nn.BatchNorm2d(out))

    def around(self, x):
        if self.project is not None:
            return self.project(x)
        if self.new or self.stride > 1:
            return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new))
        return x

    def forward(self, x):
        if not self.pre:
            y = x
            for position, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
                y = norm(conv(y))
                y = torch.relu(y) if position < len(self.convs) - 1 else y
            return torch.relu(y + self.around(x))
        y = x if self.pre == "first" else torch.relu(self.norms[0](x))
        short = self.around(y if self.pre == "change" else x)
        y = self.convs[0](y)
        for conv, norm in zip(self.convs[1:], self.norms[1:], strict=True):
            y = conv(torch.relu(norm(y)))
        return y + short


def resnet(classes, counts, *, bottleneck, cifar=False, option="B", v1=False, pre=False):
    c = 16 if cifar else 64
    stem = (
        [nn.Conv2d(3, c, 3, 1, 1, bias=False)] if cifar else [nn.Conv2d(3, c, 7, 2, 3, bias=False)]
    )
    layers = [*stem, nn.BatchNorm2d(c), nn.ReLU(), *([] if cifar else [nn.MaxPool2d(3, 2, 1)])]
    width = c
    for stage, count in enumerate(counts):
        for number in range(count):
            kind = None
            if pre:
                kind = "inner" if number else "first" if stage == 0 else "change"
            layers.append(
                Block(
                    c,
                    width,
                    2 if stage and not number else 1,
                    bottleneck=bottleneck,
                    option=option,
                    v1=v1,
                    pre=kind,
                )
            )
            c = width * (4 if bottleneck else 1)
        width *= 2
    layers += [nn.BatchNorm2d(c), nn.ReLU()] if pre else []
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, classes))


def nin_small(masks, c_in, widths, third):
    layers = []
    for number, (a, b, c, size) in enumerate(
        [(*widths[0], 5), (*widths[1], 5), (*widths[2], third)]
    ):
        layers += [
            nn.Conv2d(c_in, a, size, padding=size // 2),
            nn.ReLU(),
            nn.Conv2d(a, b, 1),
            nn.ReLU(),
            nn.Conv2d(b, c, 1),
            nn.ReLU(),
        ]
        layers += (
            [nn.MaxPool2d(3, 2, ceil_mode=True), FixedDropout(0.5, masks)] if number < 2 else []
        )
        c_in = c
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class NormWithoutScale(nn.BatchNorm2d):
    """Batch norm whose factors are ones that are not trained."""

    def __init__(self, channels, eps, momentum):
        super().__init__(channels, eps, momentum)
        del self.weight
        self.register_buffer("weight", torch.ones(channels))


class Times(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return x * self.factor


def airbench94(classes):
    """The author's network; its batch norm has momentum 0.6, the share that is kept."""
    layers = [nn.Conv2d(3, 24, 2), nn.GELU()]
    layers[0].weight.requires_grad = False
    c_in = 24
    for width in (64, 256, 256):
        for i in range(2):
            layers.append(nn.Conv2d(c_in, width, 3, padding="same", bias=False))
            layers += [nn.MaxPool2d(2)] if i == 0 else []
            layers += [NormWithoutScale(width, eps=1e-12, momentum=1 - 0.6), nn.GELU()]
            c_in = width
    head = nn.Linear(256, classes, bias=False)
    return nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten(), head, Times(1 / 9))


def nin_imagenet(masks, classes):
    def mlp(c_in, a, b, c, size, stride=1):
        padding = 0 if stride > 1 else size // 2
        return [
            nn.Conv2d(c_in, a, size, stride, padding),
            nn.ReLU(),
            nn.Conv2d(a, b, 1),
            nn.ReLU(),
            nn.Conv2d(b, c, 1),
            nn.ReLU(),
        ]

    pool = lambda: nn.MaxPool2d(3, 2, ceil_mode=True)  # noqa: E731
    return nn.Sequential(
        *(
            *mlp(3, 96, 96, 96, 11, 4),
            pool(),
            *mlp(96, 256, 256, 256, 5),
            pool(),
            *mlp(256, 384, 384, 384, 3),
            pool(),
        ),
        *(
            FixedDropout(0.5, masks),
            *mlp(384, 1024, 1024, classes, 3),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        ),
    )


class Subsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = (
            nn.Parameter(torch.zeros(channels)),
            nn.Parameter(torch.zeros(channels)),
        )

    def forward(self, x):
        total = F.avg_pool2d(x, 2, divisor_override=1)
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class Squash(nn.Module):
    def forward(self, x):
        return 1.7159 * torch.tanh(x * (2 / 3))


class Partial(nn.Conv2d):
    """C3: sixteen separate sums over the maps that the paper's table I lists."""

    TABLE = (
        *(
            [0, 1, 2],
            [1, 2, 3],
            [2, 3, 4],
            [3, 4, 5],
            [0, 4, 5],
            [0, 1, 5],
            [0, 1, 2, 3],
            [1, 2, 3, 4],
            [2, 3, 4, 5],
        ),
        *(
            [0, 3, 4, 5],
            [0, 1, 4, 5],
            [0, 1, 2, 5],
            [0, 1, 3, 4],
            [1, 2, 4, 5],
            [0, 2, 3, 5],
            [0, 1, 2, 3, 4, 5],
        ),
    )

    def forward(self, x):
        maps = [
            F.conv2d(x[:, rows], self.weight[k : k + 1, rows], self.bias[k : k + 1])
            for k, rows in enumerate(self.TABLE)
        ]
        return torch.cat(maps, 1)


class Distances(nn.Module):
    def __init__(self, codes):
        super().__init__()
        self.register_buffer("codes", torch.tensor(codes))

    def forward(self, x):
        return ((x[:, None] - self.codes) ** 2).sum(2)


def lenet(name, codes=None):
    if name == "lenet5":
        body = [
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.AvgPool2d(2),
        ]
        body += [
            nn.Conv2d(16, 120, 5),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, 10),
        ]
    elif name == "lenet5_sigmoid":
        body = [
            nn.Conv2d(3, 6, 5),
            nn.MaxPool2d(2),
            nn.Sigmoid(),
            nn.Conv2d(6, 16, 5),
            nn.MaxPool2d(2),
            nn.Sigmoid(),
        ]
        body += [nn.Flatten(), nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)]
    elif name == "lenet_caffe":
        body = [nn.Conv2d(1, 20, 5), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.MaxPool2d(2)]
        body += [nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10)]
    else:
        body = [
            nn.Conv2d(1, 6, 5),
            Squash(),
            Subsample(6),
            Squash(),
            Partial(6, 16, 5),
            Squash(),
            Subsample(16),
            Squash(),
        ]
        body += [
            nn.Conv2d(16, 120, 5),
            Squash(),
            nn.Flatten(),
            nn.Linear(120, 84),
            Squash(),
            Distances(codes),
        ]
    return nn.Sequential(*body)


def pair(name, classes, full=False):
    """The options and the twin's constructor, for a reduced input or the network's own (`full`).

    The constructor takes the list of dropout masks.
    """

    def size(small, large=224):
        return large if full else small

    hidden = 4096 if full else 48
    if name == "airbench94":
        return {}, lambda masks: airbench94(classes)
    if name.startswith("lenet"):
        return {}, lambda masks: lenet(name, rbf_codes())
    if name in ("alexnet", "alexnet_two_gpu", "caffenet"):
        side = size(
            99 if name == "alexnet" else 67, 224 if name == "alexnet_two_gpu" else 227
        )  # 224 is padded to 227
        form = {"groups": 1 if name == "alexnet" else 2, "caffe": name == "caffenet"}
        return {"input_size": side, "hidden": hidden}, lambda masks: alexnet(
            masks, classes, side, hidden, **form
        )
    if name == "alexnet_2012_code":
        return {"input_size": size(99), "hidden": hidden}, lambda masks: alexnet_2012_code(
            masks, classes, size(99), hidden
        )
    if name == "alexnet_torchvision":
        return {"input_size": size(80), "hidden": hidden}, lambda masks: alexnet_torchvision(
            masks, classes, hidden
        )
    if name.startswith("zfnet"):
        widths = (512, 1024, 512) if "wide" in name else (384, 384, 256)
        return {"input_size": size(96), "hidden": hidden}, lambda masks: zfnet(
            masks, classes, size(96), hidden, widths
        )
    if name.startswith("vgg"):
        return {"input_size": size(32), "hidden": hidden}, lambda masks: vgg(
            name, masks, classes, hidden
        )
    if name.startswith("googlenet"):
        kind = {"googlenet": "paper", "googlenet_bn": "bn", "googlenet_torchvision": "torchvision"}[
            name
        ]
        return {"input_size": size(96), "aux": True}, lambda masks: GoogLeNet(
            masks, classes, kind, aux=True, side=size(6, 14)
        )
    if name == "inception_v4":
        return {"input_size": size(107, 299)}, lambda masks: inception_v4(masks, classes)
    if name == "nin_imagenet":
        return {"input_size": size(99)}, lambda masks: nin_imagenet(masks, classes)
    if name == "nin_mnist":
        return {}, lambda masks: nin_small(
            masks, 1, ((96, 64, 48), (128, 96, 48), (128, 96, classes)), 5
        )
    if name.startswith("nin"):
        return {}, lambda masks: nin_small(
            masks, 3, ((192, 160, 96), (192, 192, 192), (192, 192, classes)), 3
        )
    if name.startswith(("squeezenet", "mobilenet", "densenet")):
        return compact_twins.pair(name, classes, full)
    pre, depth, cifar, v1 = re.fullmatch(r"(pre)?resnet(\d+)(_cifar)?(_v1)?", name).groups()
    depth = int(depth)
    form = {
        "pre": bool(pre),
        "v1": bool(v1) or bool(cifar),
        "bottleneck": depth in (164, 1001) if cifar else depth >= 50,
    }
    if cifar:
        counts = [(depth - 2) // (9 if form["bottleneck"] else 6)] * 3
        return {}, lambda masks: resnet(
            classes, counts, cifar=True, option="B" if form["bottleneck"] else "A", **form
        )
    return {"input_size": size(64)}, lambda masks: resnet(classes, BLOCKS[depth], **form)
