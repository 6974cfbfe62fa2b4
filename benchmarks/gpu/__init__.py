"""Verify and measure the GPU engine on this machine, from a checkout: `python -m benchmarks.gpu [--seconds N] [--out DIR]`.

It needs NumPy, CuPy and the repository, not installed; with torch it also compares, with MNIST at hand (MINICNN_DATA) it trains.
Every part runs in a process of its own and writes what it finds line by line; what ends a process is found out, noted, and passed over.

    parts.py         the parts, in the order of their importance, and one part's run: the child process
    runner.py        the parent process: limits of time, restarts behind whatever ended a child
    environment.py   what machine this is, and its ceilings
    correctness.py   every kernel against float64, networks against the CPU
    variants.py      every tile, split and number of stages of the convolutions; large shapes and long sums
    whole.py         LeNet's fused steps, replayed graphs, totals, running statistics, the ladder's rungs
    speed.py         operations and training steps, with spot checks of their results; torch_side.py: PyTorch's best of the same
    causes.py        where a step's time goes, kernel by kernel
    learning.py      short trainings, whose losses must follow the CPU's
    report.py        the tables, the JSON file and the picture
"""
