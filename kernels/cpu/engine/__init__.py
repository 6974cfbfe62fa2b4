"""The parts that the CPU's operations share.

launch.py compiles kernels and runs them on all cores. memory.py provides buffers. arrays.py has
addresses, strides and checks of shapes, and records.py the records that kernels take. simd/ has
the operations on vectors, rows.py loops over rows of floats, and gemm.py the matrix product of
register tiles. weight_cache.py keeps transformed weights. machine.py measures the machine's limits.
"""
