"""The papers' ways to test: which views of an image a network reads, and what is averaged.

| name             | views                                                       | averaged      |
|------------------|-------------------------------------------------------------|---------------|
| `center`         | 1: the network's own preprocessing                          | -             |
| `alexnet_10`     | 10: corners and center of the central square, mirrors       | probabilities |
| `caffe_10`       | 10: the same of the image warped to a square                | probabilities |
| `fb_resnet_10`   | 10: corners and center of the whole image, mirrors          | scores        |
| `vgg_dense`      | whole image at 3 scales, mirrors; fully convolutional       | probabilities |
| `vgg_multicrop`  | 150: 5x5 grid at 3 scales, mirrors                          | probabilities |
| `vgg_combined`   | `vgg_dense` and `vgg_multicrop`                             | probabilities |
| `googlenet_144`  | 144: 4 scales, 3 squares, 6 crops, mirrors                  | probabilities |
| `airbench_6`     | 6: center (half the weight), shifts by 1 pixel, mirrors     | scores        |
| `resnet_dense`   | whole image at 5 scales; fully convolutional                | scores        |

Scales are lengths of the shorter side in pixels for a network that reads 224 x 224; for others they
grow and shrink with its input. Where all views have the same weight, their order does not matter to
the result; it is the one of the source, so that views can be compared with it.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from ..checks import is_one_of
from ..data.resize import pixels_of, resized
from ..errors import brief

NOMINAL = 224

# Offsets (top, left) of crops of `size` in an image of `height` x `width`.
Crops = Callable[[int, int, int], list[tuple[int, int]]]
Views = list[np.ndarray]  # uint8 (k, h, w, C); the views in one array have one size


@dataclass(frozen=True)
class Protocol:
    """Which views of an image a network reads, and what is averaged over them.

    source: the paper or code, with its section.
    scales: lengths of the shorter side, for a network of 224 x 224; () for `center`.
    region: what of the scaled image: "whole"; "center", the central square; "squares", those on the
        left, in the center and on the right, or for portraits at the top, in the center and at the
        bottom; "warp": the image is scaled to a square without regard to its proportions.
    padding: pixels that a region gets on every side, mirrored at its border.
    crops: the offsets of the crops in a region; None takes it whole.
    with_whole: also the whole region, scaled to the size of a crop.
    mirror: "views": each view also mirrored left to right, after those of a region; "region": the
        region is mirrored, and cut again, which exchanges left and right; "" for none.
    interpolation: of scaling, "bilinear" or "bicubic", with antialiasing.
    average: "probabilities" (softmax, then the mean) or "scores" (the mean, then softmax).
    dense: the network is applied in its fully convolutional form; of the scores at all positions of
        a view the mean is taken first.
    parts: protocols of which the mean of the probabilities is taken; then nothing else counts.
    """

    source: str
    scales: tuple[int, ...] = ()
    region: str = "whole"
    padding: int = 0
    crops: Crops | None = None
    with_whole: bool = False
    mirror: str = "views"
    interpolation: str = "bilinear"
    average: str = "probabilities"
    dense: bool = False
    parts: tuple["Protocol", ...] = ()

    def at(self, scales: tuple[int, ...]) -> "Protocol":
        """The same at other scales. Raises ValueError for scales below 224, or for `center`."""
        if not self.scales and not self.parts:
            raise ValueError(f"scales={scales}: this protocol has none")
        if not scales or min(scales) < NOMINAL:
            raise ValueError(
                f"scales={scales}: expected lengths of the shorter side of at least {NOMINAL}, "
                f"for a network that reads {NOMINAL} x {NOMINAL}"
            )
        parts = tuple(part.at(scales) for part in self.parts)
        return replace(self, scales=() if parts else scales, parts=parts)

    def views(self, image: Image.Image, size: int) -> Views:
        """The views of an image in mode L or RGB, for a network that reads `size` x `size`."""
        found: Views = []
        for scale in self.scales:
            for region in self._regions(image, scaled(scale, size)):
                views = self._cut(region, size)
                if self.mirror == "views":
                    views += [view[:, ::-1] for view in views]
                elif self.mirror == "region":
                    views += self._cut(region.transpose(Image.Transpose.FLIP_LEFT_RIGHT), size)
                found.append(np.stack(views))
        if self.crops is None:
            return found
        return [np.concatenate(found)]

    def _regions(self, image: Image.Image, shorter: int) -> list[Image.Image]:
        if self.region == "warp":
            return [self._resized(image, (shorter, shorter))]
        # The longer side is rounded down, as in torchvision.
        height, width = (side * shorter // min(image.size) for side in (image.height, image.width))
        whole = self._resized(image, (height, width))
        if self.region == "whole":
            return [whole]
        room = max(width, height) - shorter
        starts = [0, room // 2, room] if self.region == "squares" else [room // 2]
        corners = [(start, 0) if width > height else (0, start) for start in starts]
        return [whole.crop((x, y, x + shorter, y + shorter)) for x, y in corners]

    def _cut(self, region: Image.Image, size: int) -> list[np.ndarray]:
        pixels, sides = pixels_of(region), (self.padding, self.padding)
        if self.padding:
            pixels = np.pad(pixels, (sides, sides, (0, 0)), mode="reflect")
        crops = self.crops
        if crops is None:
            return [pixels]
        height, width, _ = pixels.shape
        offsets = crops(height, width, size)
        views = [pixels[top : top + size, left : left + size] for top, left in offsets]
        if self.with_whole:
            views.append(pixels_of(self._resized(region, (size, size))))
        return views

    def _resized(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        pixels = resized(image, size, self.interpolation)
        return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def scaled(scale: int, size: int) -> int:
    """A paper's length in pixels, for a network of `size` x `size` in place of its 224 x 224.

    AlexNet's 227 is the paper's 224 without padding: the same lengths hold.
    """
    return max(size, scale if size == 227 else round(scale * size / NOMINAL))


def krizhevsky_crops(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Top left, top right, center, bottom left, bottom right (cuda-convnet2, convdata.py)."""
    bottom, right = height - size, width - size
    return [(0, 0), (0, right), (bottom // 2, right // 2), (bottom, 0), (bottom, right)]


def caffe_crops(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Top left, top right, bottom left, bottom right, center (python/caffe/io.py, oversample)."""
    bottom, right = height - size, width - size
    return [(0, 0), (0, right), (bottom, 0), (bottom, right), (bottom // 2, right // 2)]


def torch_crops(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """Center, top left, top right, bottom left, bottom right (transforms.lua, TenCrop)."""
    bottom, right = height - size, width - size
    center = math.ceil(bottom / 2), math.ceil(right / 2)
    return [center, (0, 0), (0, right), (bottom, 0), (bottom, right)]


def shifted_crops(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """The center twice, top left, bottom right: half of the weight is the center's."""
    bottom, right = height - size, width - size
    center = bottom // 2, right // 2
    return [center, center, (0, 0), (bottom, right)]


def grid_crops(height: int, width: int, size: int) -> list[tuple[int, int]]:
    """A regular grid of 5 x 5, row by row, from corner to corner."""
    rows, columns = (
        [round(i * (length - size) / 4) for i in range(5)] for length in (height, width)
    )
    return [(top, left) for top in rows for left in columns]


VGG_SCALES = (256, 384, 512)
VGG_DENSE = Protocol(
    "Simonyan & Zisserman 2014, sections 3.2 and 4.2: whole images at {256, 384, 512}, mirrored; "
    "the class score map is averaged over space, the softmaxes over scales and mirrors",
    scales=VGG_SCALES,
    dense=True,
)
VGG_MULTICROP = Protocol(
    "Simonyan & Zisserman 2014, section 4.3: a 5x5 grid with 2 flips, 50 crops at each of "
    "{256, 384, 512}",
    scales=VGG_SCALES,
    crops=grid_crops,
)

PROTOCOLS: dict[str, Protocol] = {
    "center": Protocol("what the network was trained with: its preprocessing"),
    "alexnet_10": Protocol(
        "Krizhevsky et al. 2012, section 4.1: the shorter side 256, its central square; corners "
        "and center, mirrors",
        scales=(256,),
        region="center",
        crops=krizhevsky_crops,
    ),
    "caffe_10": Protocol(
        "Caffe, python/classify.py: the image warped to 256 x 256; corners and center, mirrors",
        scales=(256,),
        region="warp",
        crops=caffe_crops,
    ),
    "fb_resnet_10": Protocol(
        "fb.resnet.torch, datasets/transforms.lua, TenCrop: the shorter side 256, bicubic; scores "
        "are added, not probabilities",
        scales=(256,),
        crops=torch_crops,
        interpolation="bicubic",
        mirror="region",
        average="scores",
    ),
    "vgg_dense": VGG_DENSE,
    "vgg_multicrop": VGG_MULTICROP,
    "vgg_combined": Protocol(
        "Simonyan & Zisserman 2014, section 4.3: the mean of the two softmaxes",
        parts=(VGG_DENSE, VGG_MULTICROP),
    ),
    "googlenet_144": Protocol(
        "Szegedy et al. 2014, section 7: the shorter side 256, 288, 320, 352; left, center and "
        "right square; corners, center, and the square scaled to 224; mirrors",
        scales=(256, 288, 320, 352),
        region="squares",
        crops=caffe_crops,
        with_whole=True,
    ),
    "airbench_6": Protocol(
        "Jordan's airbench94.py, tta_level 2: the image, and shifted up-left and down-right by a "
        "pixel of its reflection; mirrors; half of the weight for the image itself",
        scales=(224,),
        padding=1,
        crops=shifted_crops,
        average="scores",
    ),
    "resnet_dense": Protocol(
        "He et al. 2015b, section 3.4: fully convolutional, scores averaged over shorter sides of "
        "224, 256, 384, 480, 640; no mirrors are mentioned",
        scales=(224, 256, 384, 480, 640),
        mirror="",
        average="scores",
        dense=True,
    ),
}


def named(protocol: str | Protocol) -> Protocol:
    """The protocol of that name. Raises ValueError for an unknown one."""
    if isinstance(protocol, Protocol):
        return protocol
    if not is_one_of(protocol, PROTOCOLS):
        raise ValueError(f"protocol={brief(protocol)}: expected one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[protocol]
