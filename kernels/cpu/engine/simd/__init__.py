"""Operations on vectors of LANES float32 numbers, one instruction each or a few.

| file          | content                                                             |
|---------------|---------------------------------------------------------------------|
| host.py       | LANES and the register tile of this machine                         |
| vector.py     | the Numba type, and the decorator of functions that emit LLVM code  |
| memory.py     | loads and stores: whole, partial, non-temporal, scalars, bytes      |
| arithmetic.py | `+ - * /`, comparisons, square roots, exponents, reductions         |
| functions.py  | exp, log, tanh, sigmoid, powers                                     |
| hashing.py    | the hashes of dropout and of changed weights                        |
| slide.py      | windows that slide over vectors, of depthwise convolutions          |
| tile.py       | register tiles, the inner step of every matrix product              |

`load(p, i)` reads LANES floats starting i floats after the address p; `store(p, i, v)` writes them.
"""

from .arithmetic import (
    absolute,
    exponent,
    mantissa,
    maximum,
    power_of_two,
    reduce_max,
    reduce_sum,
    relu,
    round,
    select_equal,
    select_greater,
    select_greater_or_nan,
    select_nan,
    splat,
    sqrt,
)
from .hashing import bernoulli_mask, hash_combine
from .host import COLUMNS, FLOAT, INSTRUCTIONS, LANES, REGISTERS, ROWS, VECTORS, WIDTHS
from .memory import (
    fence,
    load,
    load_bytes_part,
    load_index,
    load_part,
    load_part_or,
    load_scalar,
    prefetch_second,
    prefetch_write,
    store,
    store_bytes_part,
    store_index,
    store_nt_part,
    store_part,
    store_scalar,
)
from .slide import (
    add_rows,
    multiply_vectors,
    row_addresses,
    slide_multiply,
    slide_products,
    tile_rows,
    tile_shift,
)
from .tile import (
    addresses,
    tile_add_at,
    tile_convolve,
    tile_multiply,
    tile_multiply_at,
    tile_multiply_shifted,
    tile_store,
    tile_zeros,
    transpose,
)
from .vector import Address, Vector, operation, vector

__all__ = [
    "COLUMNS",
    "FLOAT",
    "INSTRUCTIONS",
    "LANES",
    "REGISTERS",
    "ROWS",
    "VECTORS",
    "WIDTHS",
    "Address",
    "Vector",
    "absolute",
    "add_rows",
    "addresses",
    "bernoulli_mask",
    "exponent",
    "fence",
    "hash_combine",
    "load",
    "load_bytes_part",
    "load_index",
    "load_part",
    "load_part_or",
    "load_scalar",
    "mantissa",
    "maximum",
    "multiply_vectors",
    "operation",
    "power_of_two",
    "prefetch_second",
    "prefetch_write",
    "reduce_max",
    "reduce_sum",
    "relu",
    "round",
    "row_addresses",
    "select_equal",
    "select_greater",
    "select_greater_or_nan",
    "select_nan",
    "slide_multiply",
    "slide_products",
    "splat",
    "sqrt",
    "store",
    "store_bytes_part",
    "store_index",
    "store_nt_part",
    "store_part",
    "store_scalar",
    "tile_add_at",
    "tile_convolve",
    "tile_multiply",
    "tile_multiply_at",
    "tile_multiply_shifted",
    "tile_rows",
    "tile_shift",
    "tile_store",
    "tile_zeros",
    "transpose",
    "vector",
]
