"""Hashes lane by lane: which elements dropout drops, and fingerprints of arrays."""

from llvmlite import ir

from .host import LANES
from .vector import (
    INT32,
    INTEGERS,
    VECTOR,
    broadcast,
    constant,
    intp,
    operation,
    vector,
)


def _hash32(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """See `reference.dropout.scrambled`."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = builder.mul(
            builder.xor(x, builder.lshr(x, constant(shift, INTEGERS))), constant(factor, INTEGERS)
        )
    return builder.xor(x, builder.lshr(x, constant(16, INTEGERS)))


@operation(intp, intp, intp, intp)
def bernoulli_mask(
    builder: ir.IRBuilder, i: ir.Value, first_key: ir.Value, second_key: ir.Value, least: ir.Value
) -> ir.Value:
    """1 in each lane whose position (i, i + 1, ...) hashes to `least` or more, else 0.

    See `reference.dropout`: these are the elements that are kept.
    """
    i, first_key, second_key, least = (
        broadcast(builder, builder.trunc(n, INT32), INTEGERS)
        for n in (i, first_key, second_key, least)
    )
    position = builder.add(i, ir.Constant(INTEGERS, list(range(LANES))))
    number = _hash32(
        builder, builder.add(_hash32(builder, builder.xor(position, first_key)), second_key)
    )
    return builder.uitofp(builder.icmp_unsigned(">=", number, least), VECTOR)


@operation(vector, vector)
def hash_combine(builder: ir.IRBuilder, hashes: ir.Value, v: ir.Value) -> ir.Value:
    """Combine each lane's hash with the bits of v's lane: a round of xxHash32 (Collet 2014)."""
    hashes, bits = (builder.bitcast(a, INTEGERS) for a in (hashes, v))
    hashes = builder.add(hashes, builder.mul(bits, constant(0x85EBCA77, INTEGERS)))
    turned = builder.or_(
        builder.shl(hashes, constant(13, INTEGERS)), builder.lshr(hashes, constant(19, INTEGERS))
    )
    return builder.bitcast(builder.mul(turned, constant(0x9E3779B1, INTEGERS)), VECTOR)
