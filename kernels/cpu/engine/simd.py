"""Vectors of float32 as Numba sees them: LANES numbers that one instruction works on.

`load(p, i)` reads LANES floats from address p on, i floats further; `store(p, i, v)` writes them; `+ - * /` and the functions below work
lane by lane. The `_part` forms touch the first n lanes alone: the ends of rows need no loop of their own. A tile is a tuple of vectors
that stays in registers; `tile_multiply` is the step that all matrix products are made of.

LANES and the tile are the host's: 16 lanes and 8 x 2 vectors with AVX-512 (32 registers), 8 and 6 x 2 with AVX2 (16 registers), 4 and
8 x 2 with NEON. Elsewhere LLVM splits 4-lane vectors as it can: correct, no more. MINICNN_SIMD=avx512|avx2|neon|portable forces one.
"""

import operator
import os

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

# name: (lanes, rows of the register tile)
WIDTHS = {"avx512": (16, 8), "avx2": (8, 6), "neon": (4, 8), "portable": (4, 6)}


def _host() -> str:
    """The best instruction set of this machine that we know."""
    chosen = os.environ.get("MINICNN_SIMD")
    if chosen:
        if chosen not in WIDTHS:
            raise ImportError(f"MINICNN_SIMD={chosen!r}: expected one of {', '.join(WIDTHS)}")
        return chosen
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return "avx512"
    if features.get("avx2") and features.get("fma"):
        return "avx2"
    return (
        "neon"
        if features.get("neon") or binding.get_process_triple().startswith(("aarch64", "arm64"))
        else "portable"
    )


INSTRUCTIONS = _host()
LANES, ROWS = WIDTHS[INSTRUCTIONS]
VECTORS = 2  # of a register tile's row
COLUMNS = VECTORS * LANES

_FLOAT, _INT = ir.FloatType(), ir.IntType(32)
_VECTOR, _INTS, _MASK = (ir.VectorType(t, LANES) for t in (_FLOAT, _INT, ir.IntType(1)))
intp, float32 = types.intp, types.float32


class Vector(types.Type):
    """Numba's type of LANES float32."""

    def __init__(self):
        super().__init__(name=f"float32x{LANES}")


vector = Vector()


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, _VECTOR)


def _operation(*argument_types, result=vector):
    """An intrinsic with fixed types from a function that emits its LLVM code: `emit(builder, *values)`."""

    def decorate(emit):
        names = ", ".join(f"a{i}" for i in range(len(argument_types)))

        def generate(context, builder, signature, values):
            value = emit(builder, *values)
            return context.get_dummy_value() if value is None else value

        scope = {"result": result(*argument_types), "generate": generate}
        exec(
            f"def {emit.__name__}(typing, {names}):\n    return result, generate", scope
        )  # intrinsics need named arguments
        function = scope[emit.__name__]
        function.__doc__ = emit.__doc__
        return intrinsic(function)

    return decorate


def _at(builder, base, index, kind):
    """A pointer to `kind` at float number `index` from the address `base`."""
    floats = builder.inttoptr(base, _FLOAT.as_pointer())
    return builder.bitcast(builder.gep(floats, [index]), kind.as_pointer())


def _splat(builder, scalar, kind=_VECTOR):
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(_INT, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(_INTS, [0] * LANES))


def _constant(value, kind=_VECTOR):
    return ir.Constant(kind, [value] * LANES)


def _call(builder, name, *values, result=_VECTOR):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [v.type for v in values]), name
    )
    return builder.call(function, values)


def _first_lanes(builder, n):
    """The mask of the lanes below n."""
    lanes = ir.Constant(_INTS, list(range(LANES)))
    return builder.icmp_signed("<", lanes, _splat(builder, builder.trunc(n, _INT), _INTS))


_SUFFIX = f"v{LANES}f32"

# -- memory ------------------------------------------------------------------------------------------------------------------


@_operation(intp, intp)
def load(builder, p, i):
    """The LANES floats from p[i] on."""
    value = builder.load(_at(builder, p, i, _VECTOR))
    value.align = 4
    return value


@_operation(intp, intp, vector, result=types.void)
def store(builder, p, i, v):
    """p[i : i + LANES] = v."""
    builder.store(v, _at(builder, p, i, _VECTOR)).align = 4


@_operation(intp, intp, intp, vector)
def load_part_or(builder, p, i, n, other):
    """The first n lanes from p[i] on, those of `other` behind them."""
    pointer, mask = _at(builder, p, i, _VECTOR), _first_lanes(builder, n)
    return _call(
        builder, f"llvm.masked.load.{_SUFFIX}.p0", pointer, ir.Constant(_INT, 4), mask, other
    )


@_operation(intp, intp, vector, intp, result=types.void)
def _masked_store(builder, p, i, v, n):
    """p[i : i + n] = the first n lanes of v."""
    pointer, mask = _at(builder, p, i, _VECTOR), _first_lanes(builder, n)
    _call(
        builder,
        f"llvm.masked.store.{_SUFFIX}.p0",
        v,
        pointer,
        ir.Constant(_INT, 4),
        mask,
        result=ir.VoidType(),
    )


@njit
def load_part(p, i, n):
    """The first n lanes from p[i] on, zeros in the others; n may exceed LANES, and that is the fast case."""
    if n >= LANES:
        return load(p, i)
    return load_part_or(p, i, n, _zeros())


@njit
def store_part(p, i, v, n):
    """p[i : i + n] = the first n lanes of v."""
    if n >= LANES:
        store(p, i, v)
    else:
        _masked_store(p, i, v, n)


@_operation(intp, intp, vector, result=types.void)
def _stream(builder, p, i, v):
    """p[i : i + LANES] = v past the caches; the address is a multiple of a vector's bytes."""
    instruction = builder.store(v, _at(builder, p, i, _VECTOR))
    instruction.align = 4 * LANES
    instruction.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(_INT, 1)]))


@njit
def send_part(p, i, v, n, far):
    """`store_part`, and if `far` (see `memory.is_far`) past the caches: a line is not read first that is written as a whole."""
    if far and n >= LANES:
        _stream(p, i, v)
    else:
        store_part(p, i, v, n)


@_operation(result=types.void)
def settle(builder):
    """What was sent past the caches is there for every core from here on."""
    builder.fence("seq_cst")


@_operation()
def _zeros(builder):
    return _constant(0.0)


@_operation(intp, result=types.void)
def fetch_to_write(builder, p):
    """Ask for the cache line at the address p, which will be written soon; any address is allowed."""
    pointer = builder.inttoptr(p, ir.IntType(8).as_pointer())
    _call(
        builder,
        "llvm.prefetch.p0",
        pointer,
        *(ir.Constant(_INT, k) for k in (1, 3, 1)),
        result=ir.VoidType(),
    )


@_operation(intp, intp, result=float32)
def get(builder, p, i):
    """The float p[i]."""
    return builder.load(_at(builder, p, i, _FLOAT))


@_operation(intp, intp, float32, result=types.void)
def put(builder, p, i, value):
    """p[i] = value."""
    builder.store(value, _at(builder, p, i, _FLOAT))


@_operation(intp, intp, intp, result=types.void)
def put_index(builder, p, i, value):
    """The 64-bit integer number i of the table at p = value."""
    table = builder.inttoptr(p, ir.IntType(64).as_pointer())
    builder.store(value, builder.gep(table, [i]))


@_operation(intp, intp, result=intp)
def get_index(builder, p, i):
    """The 64-bit integer number i of the table at p."""
    table = builder.inttoptr(p, ir.IntType(64).as_pointer())
    return builder.load(builder.gep(table, [i]))


_BYTES = ir.VectorType(ir.IntType(8), LANES)


def _at_byte(builder, base, index):
    return builder.inttoptr(builder.add(base, index), _BYTES.as_pointer())


@_operation(intp, intp, intp)
def load_bytes_part(builder, p, i, n):
    """The first n lanes of the unsigned bytes from p + i on, as floats; zeros in the others."""
    mask = _first_lanes(builder, n)
    name = f"llvm.masked.load.v{LANES}i8.p0"
    value = _call(
        builder,
        name,
        _at_byte(builder, p, i),
        ir.Constant(_INT, 1),
        mask,
        _constant(0, _BYTES),
        result=_BYTES,
    )
    return builder.uitofp(value, _VECTOR)


@_operation(intp, intp, vector, intp, result=types.void)
def store_bytes_part(builder, p, i, v, n):
    """The first n lanes of v, whole numbers of 0 to 255, as bytes to p + i."""
    value, mask = builder.fptoui(v, _BYTES), _first_lanes(builder, n)
    name = f"llvm.masked.store.v{LANES}i8.p0"
    _call(
        builder,
        name,
        value,
        _at_byte(builder, p, i),
        ir.Constant(_INT, 1),
        mask,
        result=ir.VoidType(),
    )


# -- arithmetic --------------------------------------------------------------------------------------------------------------


@_operation(float32)
def splat(builder, value):
    """`value` in every lane."""
    return _splat(builder, value)


def _arithmetic(sign, instruction):
    """Let `a sign b` work on vectors. A product may merge with a sum into one FMA."""

    def emit(builder, a, b):
        return getattr(builder, instruction)(a, b, flags=("contract",))

    emit.__name__ = instruction
    on_vectors = _operation(vector, vector)(emit)

    @overload(sign)
    def operate(a, b):
        if not (isinstance(a, Vector) and isinstance(b, Vector)):
            return None

        def on_both(a, b):
            return on_vectors(a, b)

        on_both.__name__ = on_both.__qualname__ = (
            f"vector_{instruction}"  # its own name for the linker, see `launch.inline`
        )
        return on_both


for _sign, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_sign, _instruction)


@_operation(vector)
def rectify(builder, v):
    """max(v, 0); NaN stays NaN."""
    zero = _constant(0.0)
    return builder.select(builder.fcmp_ordered("<", v, zero), zero, v)


@_operation(vector, vector)
def larger(builder, a, b):
    """max(a, b) lane by lane."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@_operation(vector, vector, vector, vector)
def where_greater(builder, a, b, yes, no):
    """yes where a > b, else no."""
    return builder.select(builder.fcmp_ordered(">", a, b), yes, no)


@_operation(vector, vector, vector, vector)
def where_wins(builder, a, b, yes, no):
    """yes where a > b or a is NaN, else no: a maximum that NaN always wins."""
    wins = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(wins, yes, no)


@_operation(vector, vector, vector, vector)
def where_equal(builder, a, b, yes, no):
    """yes where a == b, else no."""
    return builder.select(builder.fcmp_ordered("==", a, b), yes, no)


@_operation(vector)
def sqrt(builder, v):
    """The square root."""
    return _call(builder, f"llvm.sqrt.{_SUFFIX}", v)


@_operation(vector)
def absolute(builder, v):
    """|v|."""
    return _call(builder, f"llvm.fabs.{_SUFFIX}", v)


@_operation(vector)
def nearest(builder, v):
    """The nearest whole number."""
    return _call(builder, f"llvm.rint.{_SUFFIX}", v)


@_operation(vector)
def power_of_two(builder, v):
    """2^v for whole numbers v from -126 to 127: the exponent's bits, set directly."""
    exponent = builder.add(builder.fptosi(v, _INTS), _constant(127, _INTS))
    return builder.bitcast(builder.shl(exponent, _constant(23, _INTS)), _VECTOR)


@_operation(vector)
def exponent(builder, v):
    """e of v = m 2^e with 0.5 <= m < 1, for positive normal v."""
    bits = builder.lshr(builder.bitcast(v, _INTS), _constant(23, _INTS))
    return builder.sitofp(builder.sub(bits, _constant(126, _INTS)), _VECTOR)


@_operation(vector)
def mantissa(builder, v):
    """m of v = m 2^e with 0.5 <= m < 1, for positive normal v."""
    bits = builder.and_(builder.bitcast(v, _INTS), _constant(0x007FFFFF, _INTS))
    return builder.bitcast(builder.or_(bits, _constant(0x3F000000, _INTS)), _VECTOR)


def _scrambled(builder, x):
    """`reference.dropout.scrambled`."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = builder.mul(
            builder.xor(x, builder.lshr(x, _constant(shift, _INTS))), _constant(factor, _INTS)
        )
    return builder.xor(x, builder.lshr(x, _constant(16, _INTS)))


@_operation(intp, intp, intp, intp)
def hashed_above(builder, i, first_key, second_key, least):
    """1 in the lanes whose position, i and following, hashes to `least` or more, else 0: who stays in `reference.dropout`."""
    i, first_key, second_key, least = (
        _splat(builder, builder.trunc(n, _INT), _INTS) for n in (i, first_key, second_key, least)
    )
    position = builder.add(i, ir.Constant(_INTS, list(range(LANES))))
    number = _scrambled(
        builder, builder.add(_scrambled(builder, builder.xor(position, first_key)), second_key)
    )
    return builder.uitofp(builder.icmp_unsigned(">=", number, least), _VECTOR)


@_operation(vector, vector)
def mixed(builder, hashes, v):
    """Each lane's hash with the bits of v's lane mixed in: a round of xxHash32 (Collet 2014)."""
    hashes, bits = (builder.bitcast(a, _INTS) for a in (hashes, v))
    hashes = builder.add(hashes, builder.mul(bits, _constant(0x85EBCA77, _INTS)))
    turned = builder.or_(
        builder.shl(hashes, _constant(13, _INTS)), builder.lshr(hashes, _constant(19, _INTS))
    )
    return builder.bitcast(builder.mul(turned, _constant(0x9E3779B1, _INTS)), _VECTOR)


@_operation(vector, result=float32)
def total(builder, v):
    """The sum of the lanes, halves added to halves: a fixed order."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        low, high = (
            ir.Constant(ir.VectorType(_INT, lanes), list(range(k, k + lanes))) for k in (0, lanes)
        )
        v = builder.fadd(builder.shuffle_vector(v, v, low), builder.shuffle_vector(v, v, high))
    return builder.extract_element(v, ir.Constant(_INT, 0))


@_operation(vector, result=float32)
def largest(builder, v):
    """The largest of the lanes."""
    lanes = LANES
    while lanes > 1:
        lanes //= 2
        low, high = (
            builder.shuffle_vector(
                v, v, ir.Constant(ir.VectorType(_INT, lanes), list(range(k, k + lanes)))
            )
            for k in (0, lanes)
        )
        v = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(v, ir.Constant(_INT, 0))


# -- register tiles ------------------------------------------------------------------------------------------------------------


def _tile(rows, vectors):
    return types.UniTuple(vector, rows.literal_value * vectors.literal_value)


@intrinsic(prefer_literal=True)
def tile_zeros(typing, rows, vectors):
    """A tile of rows x vectors zeros; both are constants."""
    tile = _tile(rows, vectors)

    def generate(context, builder, signature, values):
        return context.make_tuple(builder, tile, [_constant(0.0)] * len(tile))

    return tile(rows, vectors), generate


@intrinsic(prefer_literal=True)
def tile_multiply(typing, tile, rows, vectors, a, row_step, b):
    """The tile plus an outer product: `tile[r] += a[r * row_step] * b[:]`, one FMA a vector; b holds `vectors` of them in a row."""
    r, n = rows.literal_value, vectors.literal_value

    def generate(context, builder, signature, values):
        tile, _, _, a, row_step, b = values
        fma = f"llvm.fmuladd.{_SUFFIX}"
        columns = []
        for j in range(n):
            columns.append(
                builder.load(_at(builder, b, ir.Constant(ir.IntType(64), j * LANES), _VECTOR))
            )
            columns[-1].align = 4
        offset, result = ir.Constant(ir.IntType(64), 0), []
        for i in range(r):
            factor = _splat(builder, builder.load(_at(builder, a, offset, _FLOAT)))
            result += [
                _call(builder, fma, factor, columns[j], builder.extract_value(tile, i * n + j))
                for j in range(n)
            ]
            offset = builder.add(offset, row_step)
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, rows, vectors, intp, intp, intp), generate


@intrinsic(prefer_literal=True)
def addresses(typing, table, rows):
    """The first `rows` addresses of the table at `table`, as a tuple; rows is a constant."""
    result = types.UniTuple(intp, rows.literal_value)

    def generate(context, builder, signature, values):
        pointer = builder.inttoptr(values[0], ir.IntType(64).as_pointer())
        indices = [ir.Constant(ir.IntType(64), r) for r in range(len(result))]
        return context.make_tuple(
            builder, result, [builder.load(builder.gep(pointer, [i])) for i in indices]
        )

    return result(intp, rows), generate


@intrinsic(prefer_literal=True)
def tile_multiply_at(typing, tile, vectors, rows, i, b):
    """The same where each row of a has an address of its own: `tile[r] += rows[r][i] * b[:]`."""
    n, r = vectors.literal_value, len(rows)

    def generate(context, builder, signature, values):
        tile, _, rows, i, b = values
        columns = []
        for j in range(n):
            columns.append(
                builder.load(_at(builder, b, ir.Constant(ir.IntType(64), j * LANES), _VECTOR))
            )
            columns[-1].align = 4
        result = []
        for row in range(r):
            factor = _splat(
                builder, builder.load(_at(builder, builder.extract_value(rows, row), i, _FLOAT))
            )
            for j in range(n):
                result.append(
                    _call(
                        builder,
                        f"llvm.fmuladd.{_SUFFIX}",
                        factor,
                        columns[j],
                        builder.extract_value(tile, row * n + j),
                    )
                )
        return context.make_tuple(builder, signature.return_type, result)

    return tile(tile, vectors, rows, intp, intp), generate


@intrinsic(prefer_literal=True)
def tile_store(typing, tile, vectors, c, step, rows, n, add, scale, bias, relu):
    """c[r * step + j] = the tile's first `rows` rows and n columns, and what is done to them on the way.

    Times scale[j] unless scale is 0, plus bias[j] unless bias is 0, plus what c holds if `add`, rectified if `relu`. A masked load of no
    lanes is a zero, and a maximum with -inf is none: the options cost no branches.
    """
    columns = vectors.literal_value

    def generate(context, builder, signature, values):
        tile, _, c, step, rows, n, add, scale, bias, relu = values
        zero = ir.Constant(ir.IntType(64), 0)

        def unless_zero(condition, mask):
            return builder.select(
                builder.icmp_signed("!=", condition, zero), mask, _constant(0, _MASK)
            )

        def masked_load(p, i, mask, other=0.0):
            name = f"llvm.masked.load.{_SUFFIX}.p0"
            return _call(
                builder,
                name,
                _at(builder, p, i, _VECTOR),
                ir.Constant(_INT, 4),
                mask,
                _constant(other),
            )

        def column_values(p, other):
            """A vector for each column from p on, or `other` where p is 0.

            Nothing is read then, yet the address must be a valid one: processors are slow to find out otherwise.
            """
            readable = builder.select(builder.icmp_signed("!=", p, zero), p, c)
            return [
                masked_load(readable, offset, unless_zero(p, mask), other)
                for offset, mask in zip(offsets, masks, strict=True)
            ]

        least = builder.select(
            builder.icmp_signed("!=", relu, zero), _constant(0.0), _constant(float("-inf"))
        )
        offsets = [ir.Constant(ir.IntType(64), j * LANES) for j in range(columns)]
        masks = [_first_lanes(builder, builder.sub(n, offset)) for offset in offsets]
        scales, biases = column_values(scale, 1.0), column_values(bias, 0.0)
        old = [unless_zero(add, mask) for mask in masks]

        def write(whole):
            """Store the rows, in whole vectors or with the columns' masks."""
            row = c
            for r in range(len(signature.args[0]) // columns):
                with builder.if_then(
                    builder.icmp_signed(">", rows, ir.Constant(ir.IntType(64), r)), likely=True
                ):
                    for j, offset in enumerate(offsets):
                        value = builder.extract_value(tile, r * columns + j)
                        value = _call(
                            builder, f"llvm.fmuladd.{_SUFFIX}", value, scales[j], biases[j]
                        )
                        value = builder.fadd(value, masked_load(row, offset, old[j]))
                        value = builder.select(
                            builder.fcmp_ordered("<", value, least), least, value
                        )
                        pointer = _at(builder, row, offset, _VECTOR)
                        if whole:
                            builder.store(value, pointer).align = 4
                        else:
                            arguments = value, pointer, ir.Constant(_INT, 4), masks[j]
                            _call(
                                builder,
                                f"llvm.masked.store.{_SUFFIX}.p0",
                                *arguments,
                                result=ir.VoidType(),
                            )
                row = builder.add(row, builder.mul(step, ir.Constant(ir.IntType(64), 4)))

        # Masked stores take twice as long.
        with builder.if_else(
            builder.icmp_signed(">=", n, ir.Constant(ir.IntType(64), columns * LANES)), likely=True
        ) as (whole, part):
            with whole:
                write(True)
            with part:
                write(False)
        return context.get_dummy_value()

    return types.void(tile, vectors, *[intp] * 8), generate


def linear_map(matrix):
    """A function `(p, p_step, q, q_step)`: q[i * q_step] = sum_j matrix[i, j] * p[j * p_step], on vectors, straight-line code.

    Zeros cost nothing and ones no multiplication: Winograd's transforms.
    """
    rows = np.asarray(matrix, np.float32)

    def emit(builder, p, p_step, q, q_step):
        """Apply the matrix."""
        step = ir.IntType(64)
        inputs = []
        for j in range(rows.shape[1]):
            value = builder.load(
                _at(builder, p, builder.mul(p_step, ir.Constant(step, j)), _VECTOR)
            )
            value.align = 4
            inputs.append(value)
        for i, row in enumerate(rows):
            result = None
            for factor, value in sorted(
                ((f, v) for f, v in zip(row, inputs, strict=True) if f), key=lambda fv: -fv[0]
            ):
                if result is None:
                    result = value if factor == 1 else builder.fmul(value, _constant(float(factor)))
                elif abs(factor) == 1:
                    result = (builder.fadd if factor > 0 else builder.fsub)(result, value)
                else:
                    result = _call(
                        builder, f"llvm.fmuladd.{_SUFFIX}", value, _constant(float(factor)), result
                    )
            builder.store(
                result, _at(builder, q, builder.mul(q_step, ir.Constant(step, i)), _VECTOR)
            ).align = 4

    return _operation(intp, intp, intp, intp, result=types.void)(emit)
