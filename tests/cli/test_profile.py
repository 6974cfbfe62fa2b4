"""`minicnn profile`: tables, JSON, a picture, and errors."""

import json


def test_profile(run):
    said = run("profile", "lenet5", "--batch", 2, "--steps", 1, "--out", "bars.png")
    for text in ("C1", "Conv2d", "update", "by operation", "conv2d_grad_weight", "held, MiB"):
        assert text in said
    assert "a step without hooks" in said
    assert said.rstrip().endswith("picture: bars.png")
    told = json.loads(
        run("profile", "lenet5", "--batch", 2, "--steps", 1, "--inference", "--fused", "--json")
    )
    assert told["fused"] and not told["train"]


def test_wrong_arguments(run):
    said = run("profile", "lenet6", code=2)
    assert "lenet5" in said
    assert "expected H, HxW or HxWxC" in run("profile", "lenet5", "--input", "x", code=2)
    said = run("profile", "lenet5", "--out", "bars.txt", code=2)
    assert "bars.txt: expected a name that ends in one of" in said
