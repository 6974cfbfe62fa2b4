"""`study.look` on a GPU: the same results as on the CPU, as NumPy arrays."""

import numpy as np

from minicnn import rng
from minicnn.layers import Conv2d, Flatten, Linear, LocalResponseNorm, MaxPool2d, Network
from minicnn.study import look


def results(model, x):
    patches = look.top_patches(model, x, "conv2", 1)
    return {
        "saliency": look.saliency(model, x),
        "guided": look.guided_backprop(model, x),
        "Grad-CAM": look.grad_cam(model, x),
        "deconvnet": look.deconvnet(model, x, "conv2", 1),
        "unit": look.saliency(model, x, layer="conv2", unit=(1, 1, 1)),
        "occlusion": look.occlusion(model, x[0], size=4, stride=4),
        "scores": np.array([one.score for one in look.scored(model, x)]),
        "patches": np.array([(patch.image, patch.activation) for patch in patches]),
    }


def test_the_results_are_those_of_the_cpu(emulate):
    emulate()
    rng.seed(0)
    model = Network(
        conv1=Conv2d(1, 8, 3, padding=1, activation="relu"),
        norm1=LocalResponseNorm(),
        pool1=MaxPool2d(2),
        conv2=Conv2d(8, 8, 3, activation="relu"),
        flatten=Flatten(),
        fc=Linear(32, 4),
        input_shape=(8, 8, 1),
    )
    x = np.random.default_rng(0).standard_normal((2, 8, 8, 1)).astype(np.float32)
    expected = results(model, x)
    found = results(model.to("cuda"), x)
    for name, array in expected.items():
        assert isinstance(found[name], np.ndarray)
        assert array.any(), name
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
