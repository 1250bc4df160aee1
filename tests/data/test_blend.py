"""The MNIST-M recipe, against values computed by hand."""

import numpy as np

from hw2core.data.blend import blend


def test_ink_inverts_the_photo() -> None:
    crops = np.array([[[[0, 100, 255], [7, 128, 254]]]], dtype=np.uint8)  # one image of 1x2 pixels
    ink = np.array([[[True, False]]])
    assert blend(crops, ink).tolist() == [[[[255, 155, 0], [7, 128, 254]]]]
    assert blend(crops, ink).dtype == np.uint8


def test_blend_is_the_absolute_difference_for_every_value() -> None:
    values = np.arange(256, dtype=np.uint8)
    crops = np.broadcast_to(values[:, None, None, None], (256, 1, 2, 3))
    ink = np.broadcast_to(np.array([[True, False]]), (256, 1, 2))
    blended = blend(crops, ink)
    assert (blended[:, 0, 0] == np.abs(values.astype(int) - 255)[:, None]).all()
    assert (blended[:, 0, 1] == values[:, None]).all()
