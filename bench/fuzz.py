"""Hand in anything for a given time: the property tests, each time with other examples.

    python bench/fuzz.py [--minutes 10]

Runs tests/test_any_input.py with 2,000 examples a test (200 of profiles) and a new seed, again and again, and prints how many
examples each test has tried. The exit status is 1 at the first input that is neither accepted nor refused by name: it is printed,
as small as hypothesis can make it.
"""

import os
import re
import subprocess
import sys
import time
from collections import Counter

from common import ROOT, parser


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--minutes", type=float, default=10)
    end = time.monotonic() + 60 * options.parse_args().minutes
    tried: Counter[str] = Counter()
    rounds = 0
    while time.monotonic() < end:
        rounds += 1
        tried += run(seed=rounds)
    for name, count in sorted(tried.items()):
        print(f"{count:8,}  {name}")
    print(f"{sum(tried.values()):8,}  examples in {rounds} rounds: all accepted, or refused by name")


def run(seed: int) -> Counter[str]:
    """The number of examples that each test tried in one round."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "tests/test_any_input.py"]
    done = subprocess.run(
        [*command, f"--hypothesis-seed={seed}", "--hypothesis-show-statistics"],
        cwd=ROOT,
        env={**os.environ, "HYPOTHESIS_PROFILE": "long"},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    tried: Counter[str] = Counter()
    name = ""
    for line in done.stdout.splitlines():
        if found := re.match(r"\S+::(\w+):$", line):
            name = found[1]
        elif found := re.search(r"- (\d+) passing, 0 failing, and (\d+) invalid", line):
            tried[name] += int(found[1]) + int(found[2])
    return tried


if __name__ == "__main__":
    main()
