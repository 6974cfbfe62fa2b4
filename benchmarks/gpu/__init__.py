"""Verify and measure the GPU engine on this machine.

    python -m benchmarks.gpu [--seconds N] [--out DIR]

It runs in a checkout and needs NumPy and CuPy. With torch it also measures PyTorch; with MNIST in
MINICNN_DATA it also trains. Each part runs in its own process and writes each result at once, so
that a crash ends only the task that caused it.

| file           | content                                                                        |
|----------------|--------------------------------------------------------------------------------|
| parts.py       | the parts in the order of their importance, and the child process that runs one |
| runner.py      | the parent process: limits of time, restarts after the task that ended a child  |
| environment.py | the machine and its ceilings                                                   |
| cases.py       | the operations that are compared, with their arguments                         |
| correctness.py | every kernel against float64                                                   |
| networks.py    | whole networks against the CPU                                                 |
| variants.py    | every tile, split and number of stages; large shapes and long sums             |
| hopper.py      | the same of the kernels on Hopper's own units, and their speed                 |
| whole.py       | LeNet's fused steps, graphs, totals, running statistics                        |
| communication.py | NCCL with one rank: its copies, gradients, synchronized batch norm           |
| rungs.py       | the rungs of the GPU's ladders: results and speed                              |
| speed.py       | convolutions by pass, with spot checks (spot.py) of their results              |
| memory.py      | operations bound by memory, optimizers, linear layers                          |
| steps.py       | training steps and inference of whole networks                                 |
| torch_side.py, torch_memory.py, torch_steps.py | PyTorch's best of the same                     |
| sweep.py       | the fastest plan of each product, for the engine to use                        |
| launches.py    | what each operation launches, and what limits how many blocks run at a time    |
| causes.py      | the time of a step by kernel, ours and PyTorch's, and the gaps between them    |
| ablations.py   | convolutions without their loads, products or stores                           |
| counters.py    | the reasons why warps wait, by NVIDIA's ncu, if it is installed                |
| learning.py    | short trainings, whose losses must follow the CPU's                            |
| report.py      | the results, collected and written; tables.py: as tables                       |
"""
