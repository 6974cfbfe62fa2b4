"""What the CPU's operations are made of.

launch.py starts kernels on all cores. memory.py hands out buffers. arrays.py gives addresses and
strides, and checks shapes. simd/ is the vocabulary of vectors. gemm.py is the matrix product of
register tiles. machine.py measures what the machine can do.
"""
