"""The nearest training image, compared with a loop over all of them."""

import torch

from hw2core.evaluation.neighbors import nearest


def test_nearest_minimizes_the_root_mean_squared_error() -> None:
    rng = torch.Generator().manual_seed(0)
    images, pool = (
        torch.randint(0, 256, (count, 4, 5, 3), dtype=torch.uint8, generator=rng) for count in (7, 30)
    )
    indices, distances = nearest(images, pool)
    for image, index, distance in zip(images, indices, distances, strict=True):
        differences = [((image.double() - other.double()) / 255).square().mean().sqrt() for other in pool]
        assert index == min(range(len(pool)), key=lambda i: differences[i])
        assert torch.isclose(distance.double(), min(differences), atol=1e-4)


def test_the_distance_of_a_copy_is_zero() -> None:
    pool = torch.arange(300, dtype=torch.uint8).reshape(4, 5, 5, 3)
    indices, distances = nearest(pool[[2]], pool)
    assert indices.tolist() == [2]
    assert distances[0] < 1e-3
