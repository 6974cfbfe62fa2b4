# %% [markdown]
"""Softmax and cross-entropy: from scores to a loss.

A network gives one number per class, the logits. Softmax makes probabilities of them:
p = exp(z) / sum(exp(z)). The loss is -log of the probability of the true class. Its gradient is
p minus 1 at the true class, divided by the number of images.

Change: the label from 0 to 2, the least probable class.
Then: the loss rises from 0.17 to 3.17, and the gradient is largest in size at class 2.
"""

# %%
import numpy as np

import minicnn

logits = np.array([[3.0, 1.0, 0.0]])
label = np.array([0])

p = np.exp(logits) / np.exp(logits).sum()
print("probabilities", p[0].round(4))
print("loss", -np.log(p[0, label[0]]).round(4))

# %%
loss, dlogits = minicnn.softmax_cross_entropy(logits, label)
print("minicnn's loss", round(float(loss), 4), "gradient", dlogits[0].round(4))
print("p - 1 at the label", (p - np.eye(3)[label])[0].round(4))
print("its sum", abs(dlogits.sum().round(12)))  # a constant added to all logits changes nothing

# %% [markdown]
# The formula overflows for large logits. As a constant changes nothing, the largest logit is
# subtracted first; minicnn does so.

# %%
large = np.array([[1000.0, 998.0, 997.0]])
with np.errstate(over="ignore", invalid="ignore"):
    naive = np.exp(large) / np.exp(large).sum()
print(
    "naive",
    naive[0],
    "minicnn's loss",
    round(float(minicnn.softmax_cross_entropy(large, label)[0]), 4),
)

# %% [markdown]
# The logits of an untrained network are nearly equal, so its loss must be near log(10) for ten
# classes. If yours starts much higher, the initial weights are too large.

# %%
equal = np.zeros((4, 10))
loss, _ = minicnn.softmax_cross_entropy(equal, np.array([1, 5, 7, 9]))
print(f"ten equal logits: {loss:.4f}, log(10) = {np.log(10):.4f}")
