"""The operations of normalization: batch norm of rows and of images, layer norm."""

from dataclasses import replace
from itertools import chain

from ..case import Case, Fault, Operation
from .norm_catalogue import BATCH_ONLY, COMMON, RESHAPED, other_axes
from .norm_running import RUNNING_FAULTS
from .norm_scales import RUNNING_SUMS, SUMS, scale_faults
from .norm_terms import more_faults, pairs_of_terms
from .normalization import grouped, make_cases, make_small, terms, truth
from .reshaped import reshaped, vector_axes

FORMULAS = {
    "y": "y = gamma * x^ + beta,  x^ = (x - mean) / sqrt(var + eps)",
    "dx": "dx = (g - mean(g) - x^ * mean(g * x^)) / sqrt(var + eps),  g = dy * gamma",
    "dgamma": "dgamma = sum dy * x^",
    "dbeta": "dbeta = sum dy",
}
RUNNING = {
    "running_mean": "running_mean = momentum * running_mean + (1 - momentum) * mean",
    "running_var": "running_var = momentum * running_var + (1 - momentum) * var",
    "y_test": "y = gamma * (x - running_mean) / sqrt(running_var + eps) + beta  in test mode",
}


def _operation(
    name: str,
    title: str,
    shapes: list,
    small: list,
    axes: tuple,
    other: tuple[Fault, ...],
    running: bool,
) -> Operation:
    images = ("x", "y", "y_test", "dy", "dx") if len(shapes[0]) == 4 else ()
    return Operation(
        name=name,
        title=title,
        source="minicnn.kernels.reference.norm",
        formulas=FORMULAS | (RUNNING if running else {}),
        cases=lambda generator: make_cases(generator, shapes, axes, running),
        small=lambda: make_small(small, axes, running),
        truth=truth,
        terms=terms,
        faults=COMMON + other + (RUNNING_FAULTS if running else ()),
        more=more_faults(len(shapes[0]) + (4 in axes)),
        pairs=lambda: chain(scale_faults(), pairs_of_terms(len(shapes[0]) + (4 in axes))),
        sums=SUMS | (RUNNING_SUMS if running else {}),
        gradients=("dx", "dgamma", "dbeta"),
        images=images,
        optional=frozenset(("running_mean", "running_var")) if running else frozenset(),
    )


BATCH_NORM = _operation(
    "batch_norm",
    "batch norm",
    [(5, 3), (4, 6), (2, 2), (7, 1)],
    [(2, 1), (4, 1), (3, 2)],
    (0,),
    (other_axes("features", (1,), "the features", "the batch"),),
    True,
)


SPATIAL = [(2, 3, 4, 3), (3, 2, 5, 2), (1, 3, 3, 4)]
SPATIAL_BATCH_NORM = _operation(
    "spatial_batch_norm",
    "batch norm of images",
    SPATIAL,
    [(1, 1, 2, 1), (2, 1, 2, 1), (2, 2, 2, 2)],
    (0, 1, 2),
    (
        RESHAPED,
        BATCH_ONLY,
        *(
            other_axes(name, axes, over, "the batch, the rows and the columns")
            for name, axes, over in (
                ("each image", (1, 2), "each image"),
                ("each pixel", (0,), "the batch, for each pixel"),
                ("channels", (3,), "the channels"),
                ("all", (0, 1, 2, 3), "everything, the channels too"),
            )
        ),
    ),
    True,
)
LAYER_NORM = _operation(
    "layer_norm",
    "layer norm",
    [(4, 5), (3, 6), (1, 4)],
    [(1, 2), (2, 2), (2, 3)],
    (1,),
    (other_axes("batch", (0,), "the batch", "the features of each example"),),
    False,
)


def _in_groups(cases: list[Case], groups: tuple[int, ...]) -> list[Case]:
    return [grouped(c, g) for c, g in zip(cases, groups, strict=True)]


GROUP_SHAPES = [(2, 3, 4, 6), (3, 2, 5, 4), (1, 3, 2, 6), (2, 2, 3, 4)]
NEEDED = "the rows, the columns and the channels of one group of one image"
_GROUP_NORM = _operation(
    "group_norm",
    "group norm of images",
    GROUP_SHAPES,
    [(1, 1, 1, 2), (1, 1, 2, 2), (2, 1, 2, 4)],
    (1, 2, 4),
    (
        other_axes("each channel", (1, 2), "each channel: instance norm", NEEDED),
        other_axes("layer norm", (1, 2, 3), "all channels of each image: layer norm", NEEDED),
        other_axes("each pixel", (3,), "the channels of each pixel", NEEDED),
        other_axes("batch norm", (0, 1, 2), "the batch: batch norm", NEEDED),
        other_axes("all", (0, 1, 2, 3), "everything", NEEDED),
        other_axes(
            "batch too", (0, 1, 2, 4), "the batch, too", NEEDED, lambda c: c.settings["split"]
        ),
        other_axes(
            "group of each pixel",
            (4,),
            "the channels of the group at each pixel",
            NEEDED,
            lambda c: c.settings["split"],
        ),
        other_axes(
            "groups and channels exchanged",
            (1, 2, 4),
            "C // G groups of G channels each",
            "G groups of C // G channels: x.reshape(N, G, C // G, H, W)",
            lambda c: c.settings["split"][::-1],
        ),
        other_axes(
            "interleaved groups",
            (1, 2, 3),
            "groups of every G-th channel",
            "groups of neighboring channels: x.reshape(N, G, C // G, H, W)",
            lambda c: c.settings["split"][::-1],
        ),
    ),
    False,
)
_NARROW = replace(
    _GROUP_NORM,
    cases=lambda generator: _in_groups(_GROUP_NORM.cases(generator), (2, 4, 3, 1)),
    small=lambda: _in_groups(_GROUP_NORM.small(), (1, 2, 2)),
)
# CS231n has gamma and beta of the shape (1, C, 1, 1), layers have (C,).
GROUP_NORM = replace(_NARROW, forms=(reshaped(_NARROW, vector_axes("gamma", "beta")),))
