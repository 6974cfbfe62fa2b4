"""The bundled data set: 1,797 real handwritten digits of 8 x 8 pixels, part of the package.

Source: E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository (1998), doi:10.24432/C50P49, license CC BY 4.0: the test part of the set, as scikit-learn
ships it (`load_digits`). 13 people wrote the digits. The value of a pixel, 0 to 16, counts the dark
points in a 4 x 4 block of the original bitmap.
"""

from importlib import resources

import numpy as np
from PIL import Image

from .dataset import Dataset

TEST_EVERY = 5  # image i is a test image if i % 5 == 4: always 1,438 for training, 359 for testing


def digits(size: int = 32) -> tuple[Dataset, Dataset]:
    """The training and test set, uint8 `(1438, size, size, 1)` and `(359, size, size, 1)`.

    The digits are bright on black. The 8 x 8 images are enlarged to `size` pixels by bicubic
    interpolation; size=8 leaves them unchanged.
    """
    with resources.files("minicnn.data").joinpath("digits.npz").open("rb") as file:
        stored = np.load(file)
        images, labels = stored["images"], stored["labels"].astype(np.int64)
    images = np.minimum(images.astype(np.uint16) * 16, 255).astype(np.uint8)
    if size != 8:
        resize = (size, size), Image.Resampling.BICUBIC
        images = np.stack([np.asarray(Image.fromarray(image).resize(*resize)) for image in images])
    is_test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    classes = tuple("0123456789")
    return (
        Dataset(images[~is_test][..., None], labels[~is_test], classes, "digits", "train"),
        Dataset(images[is_test][..., None], labels[is_test], classes, "digits", "test"),
    )
