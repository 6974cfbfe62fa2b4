"""Loads and stores of vectors, of single floats, of table entries and of bytes.

Addresses are integers, indices count floats. The `_part` forms touch only the first n lanes, so the
end of a row needs no loop of its own.
"""

from llvmlite import ir
from numba import njit

from .host import FLOAT, LANES
from .vector import (
    FLOAT32,
    INT32,
    INT64,
    VECTOR,
    Address,
    Vector,
    call,
    constant,
    first_lanes,
    float32,
    intp,
    masked_load,
    masked_store,
    operation,
    pointer_to,
    types,
    vector,
)


@operation(intp, intp)
def load(builder: ir.IRBuilder, p: ir.Value, i: ir.Value) -> ir.Value:
    """The LANES floats from p[i] on."""
    value = builder.load(pointer_to(builder, p, i, VECTOR))
    value.align = FLOAT
    return value


@operation(intp, intp, vector, result=types.void)
def store(builder: ir.IRBuilder, p: ir.Value, i: ir.Value, v: ir.Value) -> None:
    """p[i : i + LANES] = v."""
    builder.store(v, pointer_to(builder, p, i, VECTOR)).align = FLOAT


@operation(intp, intp, intp, vector)
def load_part_or(
    builder: ir.IRBuilder, p: ir.Value, i: ir.Value, n: ir.Value, other: ir.Value
) -> ir.Value:
    """The first n lanes from p[i] on, `other` in the rest."""
    return masked_load(builder, p, i, first_lanes(builder, n), other)


@operation(intp, intp, vector, intp, result=types.void)
def _store_first(builder: ir.IRBuilder, p: ir.Value, i: ir.Value, v: ir.Value, n: ir.Value) -> None:
    """p[i : i + n] = the first n lanes of v."""
    masked_store(builder, p, i, v, first_lanes(builder, n))


@njit
def load_part(p: Address, i: int, n: int) -> Vector:
    """The first n lanes from p[i] on, zeros in the rest. n >= LANES is the fast case."""
    if n >= LANES:
        return load(p, i)
    return load_part_or(p, i, n, _zeros())


@njit
def store_part(p: Address, i: int, v: Vector, n: int) -> None:
    """p[i : i + n] = the first n lanes of v."""
    if n >= LANES:
        store(p, i, v)
    else:
        _store_first(p, i, v, n)


@operation(intp, intp, vector, result=types.void)
def _stream(builder: ir.IRBuilder, p: ir.Value, i: ir.Value, v: ir.Value) -> None:
    """p[i : i + LANES] = v, non-temporal; the address must be a multiple of a vector's size."""
    instruction = builder.store(v, pointer_to(builder, p, i, VECTOR))
    instruction.align = FLOAT * LANES
    instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(INT32, 1)]))


@njit
def store_nt_part(p: Address, i: int, v: Vector, n: int, non_temporal: bool) -> None:
    """`store_part`, with a non-temporal store if `non_temporal` (see `engine.memory`).

    A cache line that is overwritten completely is then not read first.
    """
    if non_temporal and n >= LANES:
        _stream(p, i, v)
    else:
        store_part(p, i, v, n)


@operation(result=types.void)
def fence(builder: ir.IRBuilder) -> None:
    """Memory fence: makes earlier non-temporal stores visible to all cores."""
    builder.fence("seq_cst")


@operation()
def _zeros(builder: ir.IRBuilder) -> ir.Value:
    return constant(0.0)


def _prefetch(builder: ir.IRBuilder, pointer: ir.Value, *hints: int) -> None:
    """hints: 1 to write; 3 for the nearest cache, 2 for the second; 1 for data."""
    values = [ir.Constant(INT32, k) for k in hints]
    call(builder, "llvm.prefetch.p0", pointer, *values, result=ir.VoidType())


@operation(intp, result=types.void)
def prefetch_write(builder: ir.IRBuilder, p: ir.Value) -> None:
    """Fetch the cache line at the address p, which will be written soon. Any p is allowed."""
    _prefetch(builder, builder.inttoptr(p, ir.IntType(8).as_pointer()), 1, 3, 1)


@operation(intp, intp, result=types.void)
def prefetch_second(builder: ir.IRBuilder, p: ir.Value, i: ir.Value) -> None:
    """Fetch the cache line of the float p[i] into the second cache, to be read later.

    Any address is allowed.
    """
    _prefetch(builder, pointer_to(builder, p, i, ir.IntType(8)), 0, 2, 1)


@operation(intp, intp, result=float32)
def load_scalar(builder: ir.IRBuilder, p: ir.Value, i: ir.Value) -> ir.Value:
    """The float p[i]."""
    return builder.load(pointer_to(builder, p, i, FLOAT32))


@operation(intp, intp, float32, result=types.void)
def store_scalar(builder: ir.IRBuilder, p: ir.Value, i: ir.Value, value: ir.Value) -> None:
    """p[i] = value."""
    builder.store(value, pointer_to(builder, p, i, FLOAT32))


@operation(intp, intp, intp, result=types.void)
def store_index(builder: ir.IRBuilder, p: ir.Value, i: ir.Value, value: ir.Value) -> None:
    """Entry i of the table of 64-bit integers at p = value."""
    table = builder.inttoptr(p, INT64.as_pointer())
    builder.store(value, builder.gep(table, [i]))


@operation(intp, intp, result=intp)
def load_index(builder: ir.IRBuilder, p: ir.Value, i: ir.Value) -> ir.Value:
    """Entry i of the table of 64-bit integers at p."""
    table = builder.inttoptr(p, INT64.as_pointer())
    return builder.load(builder.gep(table, [i]))


_BYTES = ir.VectorType(ir.IntType(8), LANES)


def _at_byte(builder: ir.IRBuilder, base: ir.Value, index: ir.Value) -> ir.Value:
    return builder.inttoptr(builder.add(base, index), _BYTES.as_pointer())


@operation(intp, intp, intp)
def load_bytes_part(builder: ir.IRBuilder, p: ir.Value, i: ir.Value, n: ir.Value) -> ir.Value:
    """The first n unsigned bytes from p + i on, as floats; zeros in the other lanes."""
    mask = first_lanes(builder, n)
    name = f"llvm.masked.load.v{LANES}i8.p0"
    value = call(
        builder,
        name,
        _at_byte(builder, p, i),
        ir.Constant(INT32, 1),
        mask,
        constant(0, _BYTES),
        result=_BYTES,
    )
    return builder.uitofp(value, VECTOR)


@operation(intp, intp, vector, intp, result=types.void)
def store_bytes_part(
    builder: ir.IRBuilder, p: ir.Value, i: ir.Value, v: ir.Value, n: ir.Value
) -> None:
    """The first n lanes of v, whole numbers of 0 to 255, as bytes to p + i."""
    value, mask = builder.fptoui(v, _BYTES), first_lanes(builder, n)
    name = f"llvm.masked.store.v{LANES}i8.p0"
    call(
        builder,
        name,
        value,
        _at_byte(builder, p, i),
        ir.Constant(INT32, 1),
        mask,
        result=ir.VoidType(),
    )
