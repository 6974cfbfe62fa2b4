"""LeNet-5 on MNIST, with the training loop written out.

    python examples/lenet_mnist.py [--epochs 3] [--data mnist|digits]

`digits` are 1,797 small digits that need no download. `training.fit` is this loop with checkpoints,
schedules and progress.
"""

import argparse

import minicnn
from minicnn import data, models, training

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--data", default="mnist", help="mnist, fashion_mnist or digits")
options = parser.parse_args()

train, test = data.load(options.data)
model = models.create("lenet5", seed=0)
preprocess = training.metrics.preprocess_of(model)  # bytes -> float32, centered in 32 x 32
loader = data.Loader(train, batch_size=64, preprocess=preprocess, shuffle=True)
optimizer = training.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(1, options.epochs + 1):
    model.train()
    total = 0.0
    for images, labels in loader:
        logits = model(images)  # (N, 32, 32, 1) -> (N, 10)
        loss, dlogits = minicnn.softmax_cross_entropy(logits, labels)
        optimizer.zero_grad()
        model.backward(dlogits)  # adds to the gradient of every parameter
        optimizer.step()
        total += float(loss) * len(labels)
    result = training.evaluate(model, test)
    print(f"epoch {epoch}: loss {total / len(train):.4f}, test accuracy {result.accuracy:.2%}")
