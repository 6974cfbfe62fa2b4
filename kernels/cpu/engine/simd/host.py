"""The vector width and register tile of this machine.

16 lanes and a tile of 8 x 2 vectors with AVX-512 (32 registers), 8 lanes and 6 x 2 with AVX2 (16
registers), 4 lanes and 8 x 2 with NEON. On other machines LLVM splits vectors of 4 lanes, which is
correct but slow. MINICNN_SIMD=avx512|avx2|neon|portable forces one of them.
"""

import os

from llvmlite import binding

# name: (lanes, rows of the register tile)
WIDTHS = {"avx512": (16, 8), "avx2": (8, 6), "neon": (4, 8), "portable": (4, 6)}


def _host() -> str:
    """The widest instruction set of this machine that is in WIDTHS."""
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
REGISTERS = 32 if INSTRUCTIONS in ("avx512", "neon") else 16  # of LANES floats
FLOAT = 4  # bytes
VECTORS = 2  # per row of the register tile
COLUMNS = VECTORS * LANES
