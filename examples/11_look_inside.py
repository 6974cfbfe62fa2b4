# %% [markdown]
"""Look inside a trained network.

What does it get wrong? What are its filters? What is left of an image after each layer, and which
pixels decide?

Change: `image, label = test[0]` to another number, for example to `test[int(wrong[0])]`.
Then: the maps and the saliency of an image that the network gets wrong are drawn.
"""

# %%
import numpy as np

from minicnn import data, models, predict, training
from minicnn.layers import observe
from minicnn.study import plots

train, test = data.digits()
model = models.create("lenet5", seed=0)
training.fit(model, train, test, epochs=6, progress=False)
print(f"test accuracy {training.evaluate(model, test).accuracy:.2%}")

# %% [markdown]
# **What it gets wrong.** The most confident mistakes first: true class, prediction, probability.

# %%
predictions = predict(model, test.images, top=1)
guess = np.array([int(p.class_name) for p in predictions])
confidence = np.array([p.probability for p in predictions])
wrong = np.flatnonzero(guess != test.labels)
wrong = wrong[np.argsort(-confidence[wrong])]
captions = [f"{test.labels[i]} as {guess[i]}: {confidence[i]:.0%}" for i in wrong]
print(f"{len(wrong)} of {len(test)} are wrong; the most confident: {captions[0]}")
plots.images(test.images[wrong[:8]], "11_mistakes.png", captions[:8], columns=8)

# %% [markdown]
# **The filters** of the first layer: red is positive, blue is negative.

# %%
plots.filters(model.C1.weight.value, "11_filters.png")

# %% [markdown]
# **Feature maps.** `observe` calls a function after every layer.

# %%
image, label = test[0]
x = training.preprocess_of(model)(image[None])
maps = {}
model.eval()
with observe(lambda layer, x, y: maps.setdefault(id(layer), y)):
    logits = model(x)
for name, layer in model.children():
    print(f"{name:8} {maps[id(layer)].shape[1:]}")
first = maps[id(model.C1)][0]  # (28, 28, 6)
plots.images(np.moveaxis(first, 2, 0)[..., None], "11_maps.png", columns=6)

# %% [markdown]
# **Saliency.** The gradient of one logit with respect to the image: where would another brightness
# change the answer most? (Simonyan et al. 2013). Backward goes through the layers in the opposite
# order, one by one. `minicnn look` has more such methods, for files on the command line.

# %%
dy = np.zeros_like(logits)
dy[0, label] = 1
for name, layer in reversed(list(model.children())):
    dy = layer.backward(dy)
    print(f"{name:8} gradient of its input: {dy.shape[1:]}, largest {abs(dy).max():.2e}")
for parameter in model.parameters():
    parameter.zero_grad()  # backward has also added to the gradients of the weights
plots.images([image, abs(dy[0])], "11_saliency.png", [f"a {label}", "saliency"], columns=2)
