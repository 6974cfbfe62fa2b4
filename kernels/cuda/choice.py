"""Which kernel computes a product, by which tile, and in how many parts."""

import numpy as np

from ..types import Array
from . import hopper
from .device import runtime
from .hopper_check import is_trusted
from .plan import Card, Plan
from .plan_file import plan
from .precision import product_option
from .product import NO_EPILOGUE, Epilogue, Product, images_width, multiply


def run_product(
    kernel: str,
    product: Product,
    a: Array,
    b: Array,
    b_row: tuple[int, int],
    out: Array,
    epilogue: Epilogue = NO_EPILOGUE,
    bias_gradient: Array | None = None,
) -> None:
    """Write the product to `out`; see `product.multiply`."""
    way = _way(kernel, product, a, b)
    multiply(kernel, product, way, a, b, b_row, out, epilogue, bias_gradient)


def _way(kernel: str, product: Product, a: Array, b: Array) -> Plan:
    """A plan for conv_hopper.cu if it is chosen and can compute the product, else for conv.cu."""
    how, sizes = product_option(a.dtype != np.float32), product[:4]
    run = runtime()
    card = Card(run.processors, run.shared_memory, run.shared_memory_of_processor)
    if how == "BF16" and images_width(a, product) > 1 and hopper.is_chosen(kernel, product, b):
        found = plan(kernel, *sizes, "WGMMA", card)
        if hopper.is_forced() or is_trusted(kernel, found.tile):
            return found
    return plan(kernel, *sizes, how, card)
