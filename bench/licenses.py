"""List the licenses of all requirements, as their packages state them: docs/licenses.md.

python bench/licenses.py > docs/licenses.md
"""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]


def main() -> None:
    print("# Licenses of the requirements")
    print()
    print(
        "What each package of requirements.txt states in its metadata. `python bench/licenses.py` lists them."
    )
    print()
    print("| package | license |")
    print("|:---|:---|")
    for name in required():
        print(f"| {name} | {license_of(name)} |")


def required() -> list[str]:
    """The packages of requirements.txt."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[.*?\])?==", text, re.MULTILINE)))


def license_of(name: str) -> str:
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return "not installed on this platform"
    kinds = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier", [])
        if line.startswith("License ::")
    ]
    fields = about.get_all("License-Expression") or about.get_all("License") or [""]
    stated = " ".join(str(fields[0]).split())
    # Some packages state the whole text of their license in the place of its name.
    return stated if 0 < len(stated) <= 60 else "; ".join(kinds) or stated[:60] or "not stated"


if __name__ == "__main__":
    main()
