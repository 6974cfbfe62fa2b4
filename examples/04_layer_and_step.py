# %% [markdown]
"""A layer with parameters, and one step of gradient descent.

A layer holds parameters. `forward` computes y and keeps what `backward` needs. `backward` returns
dx and adds to the `grad` of each parameter. A step moves every parameter against its gradient:
w = w - lr * dw.

For a small step the loss falls by about lr * |gradient|^2. That is what "gradient" means.

Change: lr from 0.001 to 0.1, then to 2.
Then: at 0.1 the loss still falls, but less than predicted; at 2 the step is too long and it rises.
"""

# %%
import numpy as np

from minicnn import training
from minicnn.layers import Linear

generator = np.random.default_rng(0)
x = generator.standard_normal((20, 3)).astype(np.float32)
target = x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3  # what the layer must find

layer = Linear(3, 1)
layer.weight.value[:] = 0
layer.bias.value[:] = 0
lr = 0.001

# %% [markdown]
# The loss is half the mean of the squared errors, so its gradient is the error divided by N.


# %%
def loss_and_gradient():
    """Half the mean squared error, and its gradient with respect to y."""
    error = layer.forward(x) - target
    return (error**2).mean() / 2, error / len(x)


before, dy = loss_and_gradient()
layer.backward(dy)
print("dw:", layer.weight.grad.ravel(), "db:", layer.bias.grad)

squared = sum(float((p.grad**2).sum()) for p in layer.parameters())
for parameter in layer.parameters():
    parameter.value -= lr * parameter.grad  # the step
after, _ = loss_and_gradient()
print(f"predicted fall {lr * squared:.6f}")
print(f"measured fall  {before - after:.6f}")

# %% [markdown]
# `training.SGD` is this step. With a larger rate, 200 of them find the weights 1, -2, 0.5 and the
# bias 3. Gradients add up, so `zero_grad` comes before each backward.

# %%
optimizer = training.SGD(layer.parameters(), lr=0.2)
for _ in range(200):
    loss, dy = loss_and_gradient()
    optimizer.zero_grad()
    layer.backward(dy)
    optimizer.step()
print(f"loss {loss:.1e}", layer.weight.value.ravel().round(3), layer.bias.value.round(3))
