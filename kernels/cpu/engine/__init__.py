"""The parts that the CPU's operations share.

launch.py makes kernels of Python functions, compiled.py keeps them on disk, threads.py runs them on
all cores, and recording.py repeats many of them without Python. memory.py provides buffers.
arrays.py has addresses, strides and checks of shapes, and records.py the records that kernels take.
simd/ has the operations on vectors, rows.py loops over rows of floats, and gemm.py the matrix
product of register tiles. weight_cache.py keeps transformed weights. machine.py measures the
machine's limits.
"""
