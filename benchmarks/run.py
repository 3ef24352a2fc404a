"""Our figures, on servers of their own: `make bench`, or `python benchmarks/run.py --json FILE`.

Machines differ: compare figures of one run on one machine, and take none from a busy one.
"""

import argparse
import sys
from pathlib import Path

import delivery
import durable
import moves
import posting
from awake import kept_awake
from report import describe_machine, print_figures, write_json

PARTS = {
    "delivery": delivery.measure,
    "moves": moves.measure,
    "durable": durable.measure,
    "posting": posting.measure,
}


def main() -> None:
    """Measure what was asked for, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="all, when none is named")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with kept_awake() as is_awake:
        machine = describe_machine(is_awake=is_awake)
        for what, value in machine.items():
            print(f"{what}: {value}")
        for part in arguments.parts or PARTS:
            print(f"\n{part}", flush=True)
            measured = PARTS[part]()
            print_figures(measured)
            figures |= measured
    if arguments.json is not None:
        write_json(arguments.json, machine, figures)


if __name__ == "__main__":
    sys.exit(main())
