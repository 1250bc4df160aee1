"""The MNIST-M recipe: blend a digit into a photo by the absolute difference."""

import numpy as np
from numpy.typing import NDArray


def blend(crops: NDArray[np.uint8], ink: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Invert each RGB crop (n, h, w, 3) where its digit has ink (n, h, w): abs(crop - 255 * ink)."""
    difference = crops.astype(np.int16) - 255 * ink[..., None].astype(np.int16)
    return np.abs(difference).astype(np.uint8)
