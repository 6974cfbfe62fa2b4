"""Memory that is used again: never while anybody still looks at it."""

import gc

import numpy as np
from minicnn.kernels.cpu import memory


def start(a):
    return a.ctypes.data


def test_used_again_after_the_last_view_is_gone():
    first = memory.empty((64, 64))
    place, view = start(first), first[3:, ::2].T
    del first
    other = memory.empty((64, 64))
    assert start(other) != place, "a view still looks at it"
    del view
    gc.collect()
    assert start(memory.empty((64, 64))) == place


def test_arrays_in_use_never_overlap():
    generator = np.random.default_rng(0)
    held = {}
    for i in range(300):
        shape = tuple(int(n) for n in generator.integers(8, 60, 3))
        held[i] = memory.empty(shape)
        held[i].fill(i)
        for other in generator.choice(list(held), len(held) // 3, replace=False):
            del held[other]
        for number, array in held.items():
            assert (array == number).all()


def test_aligned_typed_and_small():
    assert all(start(memory.empty(n)) % 64 == 0 for n in (1024, 5000, 123_457))
    assert memory.empty((40, 50, 8), np.uint8).dtype == np.uint8
    assert memory.empty(3).shape == (3,) and memory.empty((0, 5)).size == 0


def test_release_gives_back_what_is_unused():
    kept, gone = memory.empty(1 << 20), memory.empty(1 << 20)
    kept.fill(7)
    del gone
    assert memory.release() >= 4 << 20
    assert (kept == 7).all()
    assert memory.release() == 0


def test_a_training_step_allocates_nothing_large():
    """After the first steps, every block is an old one."""
    from minicnn import models, training

    model = models.create("lenet5", seed=0)
    optimizer = training.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, labels = np.ones((32, 32, 32, 1), np.float32), np.arange(32) % 10

    def step():
        _, gradient = training.metrics.loss_of(model)(model(x), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()

    for _ in range(3):
        step()
    before = sum(len(blocks) for blocks in memory._blocks.values())
    for _ in range(3):
        step()
    assert sum(len(blocks) for blocks in memory._blocks.values()) == before
