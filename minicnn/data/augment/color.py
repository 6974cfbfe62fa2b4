"""Augmentations that change colors, in gray levels 0 to 255.

Each is an affine map of an image's pixels x `(C,)`:

    y = M x + b,  M (C, C), b (C,)

and a sequence of such maps is one, so that a batch takes one pass whatever happens to its colors.
Bytes become bytes, rounded and clipped to 0 to 255. float32 gray levels stay as the sum gives them,
beyond 0 and 255 too: so a `Pipeline` computes, and so does fb.resnet.torch.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from ...checks import is_number
from ...errors import DataError, wrong
from .step import ImageStep, Numbers

# ITU-R BT.601: the weights of R, G, B in a gray pixel. fb.resnet.torch and Pillow have the same.
GRAY = np.array([0.299, 0.587, 0.114])
CHUNK = 1 << 16  # pixels per pass, so that they stay in the cache


class ColorStep(ImageStep):
    """A random affine map of the colors of each image."""

    @abstractmethod
    def maps(self, means: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        """M `(n, C, C)` and b `(n, C)` for images with the channel means `(n, C)`."""

    def apply(self, images: np.ndarray, numbers: Numbers) -> np.ndarray:
        c = images.shape[3]
        if c not in (1, 3):
            raise DataError(f"{self}: the images have {c} channels; expected 1 (gray) or 3 (RGB)")
        means = np.concatenate([_means(pixels) for _, pixels in _chunks(images)])
        matrices, offsets = (a.astype(np.float32) for a in self.maps(means, numbers))
        out = np.empty_like(images)
        for part, pixels in _chunks(images):
            y = pixels @ matrices[part].transpose(0, 2, 1)
            y += offsets[part, None]
            if images.dtype == np.uint8:
                np.clip(np.rint(y, out=y), 0, 255, out=y)
            out[part] = y.reshape(images[part].shape)
        return out


def _chunks(images: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Some images after the other as float32 `(n, pixels, C)`, each with their positions."""
    n, h, w, c = images.shape
    step = max(1, CHUNK // (h * w))
    for i in range(0, n, step):
        part = images[i : i + step]
        yield slice(i, i + step), part.reshape(len(part), -1, c).astype(np.float32, copy=False)


def _means(pixels: np.ndarray) -> np.ndarray:
    """The channel means `(n, C)` of `(n, pixels, C)`; by a product, the fastest sum of so few."""
    count = pixels.shape[1]
    return (np.full((1, count), 1 / count, np.float32) @ pixels)[:, 0].astype(np.float64)


@dataclass(frozen=True, repr=False)
class ColorJitter(ColorStep):
    """Blend each image with black, its mean gray and its gray image, in random order.

    fb.resnet.torch, datasets/transforms.lua, with a = 1 + U(-s, s) drawn for each:

    - brightness: y = a x
    - contrast:   y = a x + (1 - a) m,     m the mean of gray(x) over the image
    - saturation: y = a x + (1 - a) gray(x),  gray(x) = 0.299 R + 0.587 G + 0.114 B

    brightness, contrast, saturation: their s, 0 to 1; 0.4 each in fb.resnet.torch.
    Raises DataError for gray images, unless saturation is 0.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not is_number(value, 0, 1):
                raise wrong(self, field.name, value, "a number from 0 to 1")

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        strengths = (self.brightness, self.contrast, self.saturation)
        kinds = [i for i, strength in enumerate(strengths) if strength]
        factors = 1 + generator.uniform(-1, 1, (3, n)) * np.array(strengths)[:, None]
        return factors.T, generator.permuted(np.tile(kinds, (n, 1)), axis=1)

    def maps(self, means: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        n, c = means.shape
        if c == 1 and self.saturation:
            raise DataError(f"{self}: gray images have no saturation; set saturation=0")
        factors, order = numbers
        matrices, offsets = np.tile(np.eye(c), (n, 1, 1)), np.zeros((n, c))
        for kind in order.T:
            alpha = factors[np.arange(n), kind]
            levels = np.einsum("nij,nj->ni", matrices, means) + offsets
            m, b = blend(kind, alpha, levels)
            matrices, offsets = m @ matrices, np.einsum("nij,nj->ni", m, offsets) + b
        return matrices, offsets


def blend(kind: np.ndarray, alpha: np.ndarray, means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """M `(n, C, C)` and b `(n, C)` of alpha x + (1 - alpha) z, with z by `kind` `(n,)`.

    0: black; 1: the mean gray level of the image; 2: the gray image.
    means: of the channels, `(n, C)`.
    """
    c = means.shape[1]
    gray = GRAY if c == 3 else np.ones(1)
    to_gray = np.tile(gray, (c, 1))  # every channel of the gray image is gray @ x
    rest = 1 - alpha
    matrices = alpha[:, None, None] * np.eye(c)
    matrices = matrices + (rest * (kind == 2))[:, None, None] * to_gray
    offsets = (rest * (kind == 1) * (means @ gray))[:, None] * np.ones(c)
    return matrices, offsets


@dataclass(frozen=True)
class Components:
    """Principal components of the RGB pixels of a set of images, as `Lighting` takes them.

    scale: what a draw N(0, 1) along each component is multiplied by, in gray levels.
    vectors: of unit length; a row for each of R, G, B and a column per component.
    """

    name: str
    scale: tuple[float, float, float]
    vectors: tuple[tuple[float, float, float], ...]

    def __repr__(self) -> str:
        return self.name


# Krizhevsky's own numbers: `input_meta` of cuda-convnet2. The scale is the standard deviation of
# the pixels along each component.
KRIZHEVSKY = Components(
    "KRIZHEVSKY",
    scale=(121.780, 37.094, 19.721),
    vectors=(
        (-0.5635, -0.7126, 0.4180),
        (-0.5762, -0.0235, -0.8170),
        (-0.5920, 0.7012, 0.3973),
    ),
)

# fb.resnet.torch, datasets/imagenet.lua. Its `eigval` are variances of pixels in 0..1, and
# multiply a shift in 0..1: in gray levels the shift is 2.2, 7.7 and 17 times smaller than
# Krizhevsky's.
FB_RESNET = Components(
    "FB_RESNET",
    scale=(255 * 0.2175, 255 * 0.0188, 255 * 0.0045),
    vectors=(
        (-0.5675, 0.7192, 0.4009),
        (-0.5808, -0.0045, -0.8140),
        (-0.5836, -0.6948, 0.4203),
    ),
)


@dataclass(frozen=True, repr=False)
class Lighting(ColorStep):
    """Add a multiple of each principal component to all pixels of an image, drawn per image.

    shift = vectors (a * scale),  a ~ N(0, std)  `(3,)`  (Krizhevsky et al. 2012, section 4.1)

    std: 0.1 in the paper and everywhere since.
    components: whose, `KRIZHEVSKY` or `FB_RESNET`. The paper says that `scale` holds the
        eigenvalues; of pixels in 0..255 that would be shifts of 1,480 gray levels. Its code has
        their square roots: 12.2, 3.7 and 2.0 gray levels for std=0.1.
    Raises DataError for gray images.
    """

    std: float
    components: Components

    def __post_init__(self) -> None:
        if not is_number(self.std, 0):
            raise wrong(self, "std", self.std, "a number >= 0")
        if not isinstance(self.components, Components):
            raise wrong(self, "components", self.components, "KRIZHEVSKY, FB_RESNET or Components")

    def sample(self, n: int, shape: tuple[int, ...], generator: np.random.Generator) -> Numbers:
        return (generator.normal(0, self.std, (n, 3)),)

    def maps(self, means: np.ndarray, numbers: Numbers) -> tuple[np.ndarray, np.ndarray]:
        n, c = means.shape
        if c != 3:
            raise DataError(f"{self}: the images are gray; it shifts the colors of RGB images")
        shifts = (numbers[0] * self.components.scale) @ np.transpose(self.components.vectors)
        return np.tile(np.eye(3), (n, 1, 1)), shifts
