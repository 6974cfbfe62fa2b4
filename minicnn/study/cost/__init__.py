"""What a network costs, operation by operation: counts, and the limits of the machine.

`counts` has the operations and the bytes of a call, `step` runs a training step or an inference and
leaves the network as it was.
"""
