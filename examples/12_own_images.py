# %% [markdown]
"""Your own network on your own images.

Images are in class folders: `12_shapes/circle/0.png`. Here a few lines of Pillow draw them, so that
you can see the layout; then put your own folders in their place. Every fifth image of a class is a
test image.

Change: `folder` to one of your own, with a folder of images per class, and `new` to a folder of
images to predict.
Then: the classes have the names of your folders. `data.load` also reads tar and zip files.
"""

# %%
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import minicnn
from minicnn import data, training
from minicnn.layers import Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, Network
from minicnn.study import plots

folder = Path("12_shapes")


def draw(kind, generator):
    """A shape of random color, size and place on a random dark background, 32 x 32 pixels."""
    image = Image.new("RGB", (32, 32), tuple(generator.integers(0, 60, 3).tolist()))
    pen = ImageDraw.Draw(image)
    color = tuple(generator.integers(120, 256, 3).tolist())
    x, y, r = (int(n) for n in generator.integers((9, 9, 5), (23, 23, 9)))
    if kind == "circle":
        pen.ellipse((x - r, y - r, x + r, y + r), fill=color)
    elif kind == "square":
        pen.rectangle((x - r, y - r, x + r, y + r), fill=color)
    else:
        pen.line((x - r, y - r, x + r, y + r), fill=color, width=3)
        pen.line((x - r, y + r, x + r, y - r), fill=color, width=3)
    return image


generator = np.random.default_rng(0)
if not folder.exists():  # images of your own stay as they are
    for kind in ("circle", "cross", "square"):
        (folder / kind).mkdir(parents=True)
        for i in range(100):
            draw(kind, generator).save(folder / kind / f"{i}.png")

# %%
train, test = data.load(str(folder), 32)
print(f"{len(train)} images for training, {len(test)} for the test: {', '.join(train.classes)}")
some = train[:: max(1, len(train) // 20)]
plots.images(some.images, "12_samples.png", [train.classes[k] for k in some.labels])

# %% [markdown]
# A network of your own. `preprocess` says how pixels become numbers around 0. The network keeps it,
# so that predictions prepare images in the same way.

# %%
minicnn.seed(0)
net = Network(
    conv1=Conv2d(3, 16, 3, padding=1, activation="relu"),
    pool1=MaxPool2d(2),
    conv2=Conv2d(16, 32, 3, padding=1, activation="relu"),
    pool2=MaxPool2d(2),
    conv3=Conv2d(32, 32, 3, padding=1, activation="relu"),
    pool3=GlobalAvgPool2d(),
    fc=Linear(32, len(train.classes)),
    input_shape=(32, 32, 3),
)
preprocess = data.Preprocess((32, 32), 3, mean=0.5, std=0.25)
settings = dict(epochs=12, batch_size=8, lr=0.01, preprocess=preprocess)
history = training.fit(net, train, test, **settings)
print(f"test accuracy {history.evaluation.accuracy:.2%}")

# %% [markdown]
# New images, as files.

# %%
new = Path("12_new")
if not new.exists():
    new.mkdir()
    for kind in ("circle", "cross", "square"):
        draw(kind, generator).save(new / f"a_{kind}.png")
for prediction in minicnn.predict(net, new, top=1):
    print(f"{prediction.path}: {prediction.class_name} ({prediction.probability:.0%})")
