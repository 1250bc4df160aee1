"""Every dataset says what it is, in words of its own."""

from hw2core.data.catalog import EMBEDDED


def test_every_dataset_is_told_apart_by_what_it_says_of_itself() -> None:
    assert len({dataset.about for dataset in EMBEDDED.values()}) == len(EMBEDDED)


def test_no_stand_in_is_called_by_the_name_of_what_it_stands_for() -> None:
    for name, dataset in EMBEDDED.items():
        for real in ("MNIST", "SVHN", "USPS", "CelebA"):
            assert real.lower() not in f"{name} {dataset.about}".lower()
