"""Verify and measure the GPU engine on this machine: `python -m minicnn.gpu_verify [--quick] [--out DIR]`.

It needs nothing but the repository; with torch it also compares, with MNIST and CIFAR-10 at hand (MINICNN_DATA) it trains on them.

    environment.py   what machine this is, and its ceilings
    correctness.py   every kernel against float64, networks against the CPU and torch, NVIDIA's compute-sanitizer
    speed.py         operations and networks beside PyTorch's best
    learning.py      short trainings, whose losses must follow the CPU's
    report.py        the table, the JSON file and the picture
"""
