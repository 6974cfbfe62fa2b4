"""The arithmetic of minicnn: pure functions, arrays in and arrays out.

`dispatch` chooses between the backends; `reference` defines every operation in plain NumPy.
"""
