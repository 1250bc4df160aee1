"""Parts of the pipeline by name: `hw2 repro dann`, `hw2 repro dann/mnistm-usps/seed1 vae`."""

import difflib
from collections.abc import Mapping, Sequence

from hw2core.errors import UserError
from hw2core.settings.validation import shown

Upstream = Mapping[str, set[str]]
"""For each stage, in the order of dvc.yaml, the stages that it reads from."""


def words_of(name: str, command: str) -> set[str]:
    """What a stage can be called by: its name in dvc.yaml, its kind, its system, its pair or dataset, its seed."""
    kind, *values = command.split()[3:] or [name]  # of `python -m hw2core KIND VALUE...`
    system = kind.partition("_")[2]  # of train_acgan; that of train_adapter is a value
    words = {name, name.partition("@")[0], system, *(f"seed{v}" if v.isdecimal() else v for v in values)}
    return words - {""}


def select(targets: Sequence[str], commands: Mapping[str, str], upstream: Upstream) -> set[str]:
    """The stages that some targets name, and all that these read from.

    A target is a word, or several separated by slashes that must all apply.
    """
    words = {name: words_of(name, command) for name, command in commands.items()}
    selected: set[str] = set()
    for target in targets:
        wanted = set(target.split("/"))
        known = set().union(*words.values())
        for word in sorted(wanted - known):
            near = difflib.get_close_matches(word, sorted(known), n=3)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else "`hw2 repro --help` says what can be named"
            )
            raise UserError(f"no stage is called {shown(word)}; {hint}")
        found = {name for name in words if wanted <= words[name]}
        if not found:
            raise UserError(f"no stage is called all of {', '.join(sorted(wanted))}")
        selected |= found
    return with_upstream(selected, upstream)


def with_upstream(names: set[str], upstream: Upstream) -> set[str]:
    """These stages and all that they read from."""
    names, pending = set(names), list(names)
    while pending:
        pending += (more := upstream[pending.pop()] - names)
        names |= more
    return names


def with_downstream(names: set[str], upstream: Upstream) -> set[str]:
    """These stages and all that read from them."""
    names = set(names)
    while more := {name for name in upstream if upstream[name] & names} - names:
        names |= more
    return names
