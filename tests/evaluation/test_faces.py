"""Face detection rate: how counts of faces become metrics."""

import numpy as np

from hw2core.evaluation.faces import UNREADABLE, detect_faces, summary


def test_the_rate_counts_images_with_exactly_one_face() -> None:
    assert summary([1, 0, 2, 1, UNREADABLE, 1, 3, 0]) == {
        "face_detection_rate": 37.5,
        "exactly_one": 3,
        "none": 2,
        "several": 2,
        "unreadable": 1,
        "images": 8,
        "detector": "dlib's frontal HOG detector, upsampled once",
    }


def test_no_faces_are_found_in_noise_however_the_images_are_divided_into_chunks() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (101, 32, 32, 3), dtype=np.uint8)
    found = detect_faces(noise, "noise")
    assert (found["none"], found["images"], found["face_detection_rate"]) == (101, 101, 0)
