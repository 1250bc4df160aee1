"""Names as the report prints them."""

from hw2core.settings.registry import title

SOURCE_ONLY, TARGET_ONLY = "source only", "target only"
"""The bounds: the source's and the target's own classifier."""


def arrow(pair: str) -> str:
    """A pair as it is printed."""
    return pair.replace("-", " \u2192 ")


def full_title(system: str) -> str:
    """A system's title, with its item where it has several: ACGAN, digits for acgan/digits."""
    if system == "classifier":
        return "Classifier"
    item = system.partition("/")[2]
    return f"{title(system)}, {item}" if item else title(system)
