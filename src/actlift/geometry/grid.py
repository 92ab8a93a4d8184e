"""Numbers on a binary grid, so that they are the same bits on every processor."""

import numpy as np
from jaxtyping import Float


def on_grid(values: Float[np.ndarray, "*shape"], bits: int) -> Float[np.ndarray, "*shape"]:
    """Round to the nearest multiples of 2^-bits, ties to even; negative zero becomes zero.

    Sines, matrix products and the like differ between processors in their last bits. On a grid that is much coarser
    than these errors they differ only where a number lies within one of the middle of two grid points: one number in
    the grid's step over the error. Scaling by a power of two is exact, so that a number on the grid stays what it is.

    Args:
        values: of any float type, which is kept.
        bits: binary places behind the point.
    """
    scale = 2.0**bits
    rounded: Float[np.ndarray, "*shape"] = np.rint(values * scale) / scale + 0.0
    return rounded
