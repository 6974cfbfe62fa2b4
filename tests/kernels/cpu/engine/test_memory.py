"""Memory that is used again: never while an array still uses it."""

import ctypes
import dis
import gc
import importlib.util
import sys

import numpy as np
import pytest

from minicnn.kernels import cpu
from minicnn.kernels.cpu.engine import memory


def start(a):
    return a.ctypes.data


@pytest.mark.parametrize("side", [64, 1024])
def test_used_again_after_the_last_view_is_gone(side):
    first = memory.empty((side, side))
    place, view = start(first), first[3:, ::2].T
    del first
    other = memory.empty((side, side))
    assert start(other) != place, "a view still looks at it"
    del view
    gc.collect()
    assert start(memory.empty((side, side))) == place


@pytest.mark.parametrize("largest", [60, 180])
def test_arrays_in_use_never_overlap(largest):
    generator = np.random.default_rng(0)
    held = {}
    for i in range(300):
        shape = tuple(int(n) for n in generator.integers(8, largest, 3))
        held[i] = memory.empty(shape)
        held[i].fill(i)
        for other in generator.choice(list(held), len(held) // 3, replace=False):
            del held[other]
        for number, array in held.items():
            assert (array == number).all()


def test_aligned_typed_and_small():
    assert all(start(memory.empty(n)) % 64 == 0 for n in (1024, 5000, 123_457, 3_000_001))
    assert memory.empty((40, 50, 8), np.uint8).dtype == np.uint8
    assert memory.empty(3).shape == (3,) and memory.empty((0, 5)).size == 0


def test_arrays_of_whole_pages_do_not_begin_at_equal_places_of_a_page(monkeypatch):
    """Else a load waits for a store to another array whose address ends in the same 12 bits."""
    monkeypatch.setattr(memory, "_blocks", {})
    monkeypatch.setattr(memory, "_arenas", [])
    for size in (300_000, 3_000_000):
        held = [memory.empty(size // 4) for _ in range(8)]
        assert len({start(array) % memory.PAGE for array in held}) == 8


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

    model = models.create("nin_cifar10", seed=0)
    optimizer = training.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x, labels = np.ones((16, 32, 32, 3), np.float32), np.arange(16) % 10

    def step():
        _, gradient = training.metrics.loss_of(model)(model(x), labels)
        optimizer.zero_grad()
        model.backward(gradient, need_dx=False)
        optimizer.step()

    for _ in range(3):
        step()

    def held():
        return sum(len(blocks) for blocks in memory._blocks.values()), [
            arena.reached for arena in memory._arenas
        ]

    before = held()
    for _ in range(3):
        step()
    assert held() == before


def test_neighboring_gaps_are_one():
    """Neighboring free blocks are one gap; a block is put into the smallest gap that holds it."""
    arena = memory.Arena(1 << 24)
    a, b, c, d, e = (arena.take(size << 20) for size in (1, 2, 1, 1, 1))
    places = [ctypes.addressof(block) - arena.address for block in (a, b, c, d, e)]
    assert places == [n << 20 for n in (0, 1, 3, 4, 5)]
    del a, b, d
    small, large = arena.take(1 << 20), arena.take(3 << 20)
    assert [ctypes.addressof(block) - arena.address for block in (small, large)] == [4 << 20, 0]
    assert arena.take(11 << 20) is None and arena.take(10 << 20) is not None
    del c, e, small, large
    assert arena.release() == 16 << 20


def test_another_arena_where_one_is_full(monkeypatch):
    monkeypatch.setattr(memory, "_arenas", [memory.Arena(1 << 23)])
    held = [memory.empty(1 << 19) for _ in range(5)]
    for number, array in enumerate(held):
        array.fill(number)
    assert len(memory._arenas) == 2
    assert [array[-1] for array in held] == [0, 1, 2, 3, 4]


REAL_COUNT = sys.getrefcount


def borrowing(block):
    """getrefcount as Python 3.14 counts: one less where the argument is a local variable."""
    frame = sys._getframe(1)
    names = [
        one.opname
        for one in dis.get_instructions(frame.f_code)
        if one.offset < frame.f_lasti and one.opname not in ("PRECALL", "CACHE", "EXTENDED_ARG")
    ]
    return REAL_COUNT(block) - 1 - names[-1].startswith("LOAD_FAST")


@pytest.mark.parametrize(
    ("count", "reuses"),
    [
        (borrowing, True),
        (lambda block: REAL_COUNT(block) - 2, True),
        (lambda block: REAL_COUNT(block) + 5, True),
        (lambda block: 1, False),  # no counts at all
    ],
)
@pytest.mark.parametrize("side", [64, 1024])
def test_any_way_of_counting_references(monkeypatch, count, reuses, side):
    """However Python counts, a block in use is never handed out; it is reused where counts tell."""
    monkeypatch.setattr(sys, "getrefcount", count)
    spec = importlib.util.spec_from_file_location("fresh_memory", memory.__file__)
    pool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pool)
    held = [pool.empty((side, side)) for _ in range(6)]
    for i, array in enumerate(held):
        array.fill(i)
    held[3] = held[3][::2, 1:].T  # a view keeps its block
    fresh = [pool.empty((side, side)) for _ in range(3)]
    for array in fresh:
        array.fill(-1)
    assert [float(array.max()) for array in held] == [0, 1, 2, 3, 4, 5]
    assert [float(array.min()) for array in held] == [0, 1, 2, 3, 4, 5]
    place = start(held[2])
    del held[2]
    assert (start(pool.empty((side, side))) == place) == reuses


def test_out_of_memory_names_the_array():
    with pytest.raises(MemoryError, match=r"shape \(1048576, 1048576, 1024\).* bytes"):
        memory.empty((1 << 20, 1 << 20, 1 << 10))


def test_sizes_that_round_alike_share_blocks_and_are_released():
    """An array of nearly the same size takes the block of one that is gone; release frees it."""
    memory.release()
    sizes = 40_000, 40_001  # bytes
    first = memory.empty(sizes[0], np.uint8)
    address = first.ctypes.data
    del first
    second = memory.empty(sizes[1], np.uint8)
    assert second.ctypes.data == address
    assert memory.release() == 0
    del second
    assert sizes[1] <= memory.release() < 1.1 * sizes[1]
    assert memory.release() == 0


def test_large_arrays_go_past_the_caches(monkeypatch):
    """Arrays larger than the caches are written by other instructions, to the same results."""
    generator = np.random.default_rng(0)
    x, dy = (generator.standard_normal((9, 96, 96, 80), dtype=np.float32) for _ in range(2))
    assert memory.non_temporal(cpu.empty(x, x.shape), 80) and not memory.non_temporal(
        cpu.empty(x, x.shape), 81
    )
    ones = np.ones(80, np.float32)

    def results():
        y, mean, inv_std = cpu.batch_norm(
            x, ones, ones, ones.copy(), ones.copy(), activation="relu"
        )
        normed, scale = cpu.local_response_norm(x)
        pooled, argmax = cpu.max_pool2d(x, 3, 2)
        wide = np.zeros((9, 96, 96, 160), np.float32)
        cpu.batch_norm(
            x, ones, ones, ones.copy(), ones.copy(), out=wide[..., 3:83]
        )  # starts between vectors
        return (
            *(y, cpu.batch_norm_grad(dy, x, ones, mean, inv_std, True, ones, "relu")[0], wide),
            *(
                normed,
                cpu.local_response_norm_grad(dy, x, normed, scale),
                cpu.max_pool2d_grad(pooled, argmax, x.shape, 3, 2),
            ),
            *(cpu.add(x, dy, "relu"), cpu.relu(x), cpu.activation_grad(dy, y, "relu")),
        )

    far = results()
    monkeypatch.setattr(memory, "NON_TEMPORAL_BYTES", x.nbytes)
    for a, b in zip(far, results(), strict=True):
        np.testing.assert_array_equal(a, b)
