"""What the CPU's operations are made of.

launch.py starts kernels on all cores; memory.py hands out buffers; arrays.py gives addresses and strides;
simd.py is the vocabulary of vectors, functions.py its exponentials; gemm.py is the register tile.
"""
