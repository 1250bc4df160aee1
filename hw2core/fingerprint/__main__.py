"""`python -m hw2core.fingerprint`: the same as `hw2 doctor --fingerprint`, for any environment with torch.

--native computes without the limit of engine.cpu_isa, to show what it changes; --write makes this machine the reference.
"""

import argparse
import sys

from hw2core.fingerprint.compare import compare, write_reference


def main() -> int:
    options = argparse.ArgumentParser(
        prog="python -m hw2core.fingerprint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("--native", action="store_true", help="all instructions of this processor")
    options.add_argument(
        "--write", action="store_true", help="write the hashes of this machine as the reference"
    )
    given = options.parse_args()
    if given.write:
        write_reference()
        return 0
    return compare("native" if given.native else "avx2")


if __name__ == "__main__":
    sys.exit(main())
