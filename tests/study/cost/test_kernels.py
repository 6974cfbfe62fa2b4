"""The model of costs: more work takes longer, and a faster machine is faster."""

from dataclasses import replace

import pytest

from minicnn.kernels import functional, reference
from minicnn.machine import Machine
from minicnn.study.cost.counts import call_of
from minicnn.study.cost.imagined import ImaginedPool
from minicnn.study.cost.kernels import kind_of, seconds
from minicnn.study.cost.shapes import RESULTS, Place

MACHINE = Machine(1e11, 1e10, 1e-6, 0)


def convolution(channels, kernel=3, images=4, size=28):
    """A call on imagined arrays."""
    pool = ImaginedPool()
    x = pool.empty((images, size, size, channels))
    w = pool.empty((kernel, kernel, channels, 64))
    call = call_of(reference.conv2d, (x, w, None, 1, kernel // 2))
    return call._replace(result=RESULTS["conv2d"](call.arguments, Place(pool, True)))


def test_convolutions():
    few, many = convolution(64), convolution(128)
    assert kind_of(few) == "conv2d winograd4"
    assert kind_of(convolution(64, 1)) == "conv2d 1x1"
    assert kind_of(convolution(3)) == "conv2d direct"
    assert seconds(few, MACHINE) < seconds(many, MACHINE) < 2.2 * seconds(few, MACHINE)
    fast = replace(MACHINE, flops=2e11)
    assert seconds(few, fast) - 4e-6 == pytest.approx((seconds(few, MACHINE) - 4e-6) / 2)
    assert seconds(few, replace(MACHINE, bytes=1e9)) == seconds(few, MACHINE)


def test_other_operations_take_the_time_of_their_bytes():
    x = ImaginedPool().empty((4, 8, 8, 16))
    call = call_of(reference.add, (x, x))._replace(result=x)
    slow = replace(MACHINE, bytes=5e9)
    assert seconds(call, slow) - 4e-6 == pytest.approx(2 * (seconds(call, MACHINE) - 4e-6))
    assert "add" in functional.OPERATIONS and kind_of(call) == "add"
