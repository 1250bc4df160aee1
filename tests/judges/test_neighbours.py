"""The nearest training image, against a loop over all of them."""

import torch

from hw2core.judges.neighbours import nearest


def test_the_nearest_is_that_of_all_distances() -> None:
    random = torch.Generator().manual_seed(0)
    images, pool = (
        torch.randint(0, 256, (count, 4, 5, 3), dtype=torch.uint8, generator=random) for count in (7, 30)
    )
    places, distances = nearest(images, pool)
    for image, place, distance in zip(images, places, distances, strict=True):
        differences = [((image.double() - other.double()) / 255).square().mean().sqrt() for other in pool]
        assert place == min(range(len(pool)), key=lambda i: differences[i])
        assert torch.isclose(distance.double(), min(differences), atol=1e-4)


def test_a_copy_is_at_no_distance() -> None:
    pool = torch.arange(300, dtype=torch.uint8).reshape(4, 5, 5, 3)
    places, distances = nearest(pool[[2]], pool)
    assert places.tolist() == [2]
    assert distances[0] < 1e-3
