"""Numba's type of a vector, and helpers that emit LLVM code for it.

`operation` turns a function that emits LLVM instructions into one that kernels can call. The other
files of this folder are lists of such operations.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .host import FLOAT, LANES

FLOAT32, INT32, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
VECTOR, INTEGERS, MASK = (ir.VectorType(t, LANES) for t in (FLOAT32, INT32, ir.IntType(1)))
SUFFIX = f"v{LANES}f32"  # of LLVM's functions on vectors
intp, float32 = types.intp, types.float32

# The types in the signatures of kernels. Numba infers its own; these are for the reader.
Address: TypeAlias = int  # of the first byte of an array; 0 if there is no array
Vector: TypeAlias = Any  # LANES float32 in a register; only compiled code has one


class VectorType(types.Type):
    """Numba's type of LANES float32."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, numba_type: types.Type) -> None:
        super().__init__(manager, numba_type, VECTOR)


def operation(
    *argument_types: types.Type, result: types.Type = vector
) -> Callable[[Callable[..., Any]], Any]:
    """Decorate `emit(builder, *values)`, which emits LLVM code: an intrinsic with these types."""

    def decorate(emit: Callable[..., Any]) -> Any:
        names = ", ".join(f"a{i}" for i in range(len(argument_types)))

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> ir.Value:
            value = emit(builder, *values)
            return context.get_dummy_value() if value is None else value

        scope = {"result": result(*argument_types), "generate": generate}
        # Intrinsics need named arguments.
        exec(f"def {emit.__name__}(typing, {names}):\n    return result, generate", scope)
        function = scope[emit.__name__]
        function.__doc__ = emit.__doc__
        return intrinsic(function)

    return decorate


def pointer_to(builder: ir.IRBuilder, base: ir.Value, index: ir.Value, kind: ir.Type) -> ir.Value:
    """A pointer to `kind` at the float base[index]."""
    floats = builder.inttoptr(base, FLOAT32.as_pointer())
    return builder.bitcast(builder.gep(floats, [index]), kind.as_pointer())


def broadcast(builder: ir.IRBuilder, scalar: ir.Value, kind: ir.Type = VECTOR) -> ir.Value:
    """The vector with `scalar` in every lane."""
    undefined = ir.Constant(kind, ir.Undefined)
    one = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(INTEGERS, [0] * LANES))


def constant(value: float, kind: ir.Type = VECTOR) -> ir.Value:
    """The constant vector with `value` in every lane."""
    return ir.Constant(kind, [value] * LANES)


def call(builder: ir.IRBuilder, name: str, *values: ir.Value, result: ir.Type = VECTOR) -> ir.Value:
    """Call the LLVM function of that name."""
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(result, [v.type for v in values]), name
    )
    return builder.call(function, values)


def first_lanes(builder: ir.IRBuilder, n: ir.Value) -> ir.Value:
    """The mask of the lanes below n."""
    lanes = ir.Constant(INTEGERS, list(range(LANES)))
    return builder.icmp_signed("<", lanes, broadcast(builder, builder.trunc(n, INT32), INTEGERS))


def masked_load(
    builder: ir.IRBuilder, p: ir.Value, i: ir.Value, mask: ir.Value, other: ir.Value
) -> ir.Value:
    """p[i : i + LANES] in the lanes of the mask, `other` in the rest."""
    pointer, align = pointer_to(builder, p, i, VECTOR), ir.Constant(INT32, FLOAT)
    return call(builder, f"llvm.masked.load.{SUFFIX}.p0", pointer, align, mask, other)


def masked_store(
    builder: ir.IRBuilder, p: ir.Value, i: ir.Value, v: ir.Value, mask: ir.Value
) -> None:
    """p[i : i + LANES] = v in the lanes of the mask."""
    pointer, align = pointer_to(builder, p, i, VECTOR), ir.Constant(INT32, FLOAT)
    name = f"llvm.masked.store.{SUFFIX}.p0"
    call(builder, name, v, pointer, align, mask, result=ir.VoidType())
