"""Matrix units: Intel's AMX, in server cores since Sapphire Rapids.

Eight tile registers have 16 rows of 64 bytes, 16 words each. One instruction adds the product of
two tiles to a third: `sums[i, j] += a[i, k] * b[k, j]`, 16 x 16 sums in float32 of 16 x 16 words,
which are 32 bfloat16 numbers per row of a and column of b. (Intel's manual, volume 1, chapter 18.)

Four tiles of sums stay in registers 0 to 3. A step loads two tiles of a and two of b, and uses each
twice:

              b: 6   7
        a: 4     0   1
           5     2   3

The instructions are written as assembly. LLVM accepts its own functions for them only where the
processor has them; so every x86-64 processor compiles the same code, and an emulator can run it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types

from .vector import INT64, intp, operation

binding.initialize_native_asmparser()  # for assembly

TILE = 16  # rows of a register, words of a row
SIDE = 2 * TILE  # rows and columns of the sums in registers
CONFIGURATION = np.zeros(64, np.uint8)
CONFIGURATION[0] = 1  # the palette: eight registers of at most 1 KB
CONFIGURATION[16:32] = np.full(8, 64, np.uint16).view(np.uint8)  # bytes of a row of each
CONFIGURATION[48:56] = 16  # rows


def _assembly(name: str, doc: str, code: str, *kinds: types.Type) -> Callable[..., Any]:
    """An operation that emits this code; $0, $1... are its integers."""

    def emit(builder: ir.IRBuilder, *values: ir.Value) -> None:
        function = ir.FunctionType(ir.VoidType(), [INT64] * len(values))
        constraints = ",".join(["r"] * len(values) + ["~{memory}"])
        builder.asm(function, code, constraints, values, side_effect=True)

    emit.__name__, emit.__doc__ = name, doc
    return operation(*kinds, result=types.void)(emit)


configure_tiles = _assembly(
    "configure_tiles",
    "configure_tiles(p): the registers are those of CONFIGURATION, at the address p, and zero.",
    "ldtilecfg ($0)",
    intp,
)

release_tiles = _assembly("release_tiles", "The registers are free again.", "tilerelease")

zero_sums = _assembly(
    "zero_sums",
    "The 32 x 32 sums = 0.",
    "tilezero %tmm0\n tilezero %tmm1\n tilezero %tmm2\n tilezero %tmm3",
)

add_products = _assembly(
    "add_products",
    """add_products(a, a16, a_step, b, b_step): the sums += a b, `(32, 16) (16, 32)` words.

    a16: the address of row 16 of a. Steps between rows are in bytes.
    """,
    """
    tileloadd ($0,$2), %tmm4
    tileloadd ($3,$4), %tmm6
    tdpbf16ps %tmm6, %tmm4, %tmm0
    tileloadd 64($3,$4), %tmm7
    tdpbf16ps %tmm7, %tmm4, %tmm1
    tileloadd ($1,$2), %tmm5
    tdpbf16ps %tmm6, %tmm5, %tmm2
    tdpbf16ps %tmm7, %tmm5, %tmm3
    """,
    intp,
    intp,
    intp,
    intp,
    intp,
)

store_sums = _assembly(
    "store_sums",
    "store_sums(c, c16, step): c `(32, 32)` float32 = the sums.",
    """
    tilestored %tmm0, ($0,$2)
    tilestored %tmm1, 64($0,$2)
    tilestored %tmm2, ($1,$2)
    tilestored %tmm3, 64($1,$2)
    """,
    intp,
    intp,
    intp,
)
