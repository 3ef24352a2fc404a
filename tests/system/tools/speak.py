"""Say what is asked, on both streams, and end as asked."""
# /// script
# requires-python = ">=3.11"
#
# [tool.data20]
# title = "Speak"
# category = "Tests"
# max_retries = 0
# ///

import argparse
import sys
import time


def main() -> int:
    """Print numbered lines; give the code that was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=3, help="lines to say on each stream")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long to take in all")
    parser.add_argument("--code", type=int, default=0, help="exit code")
    parser.add_argument("--loud", action="store_true", help="in capitals")
    parser.add_argument("--word", action="append", default=[], help="say this too; may be repeated")
    parser.add_argument("--mood", choices=["merry", "sad"], default="merry")
    args = parser.parse_args()
    for number in range(1, args.lines + 1):
        for stream, name in ((sys.stdout, "out"), (sys.stderr, "err")):
            text = f"{name} {number}"
            stream.write((text.upper() if args.loud else text) + "\n")
            stream.flush()
        time.sleep(args.seconds / args.lines)
    for word in args.word:
        sys.stdout.write(f"{args.mood}: {word}\n")
    return args.code


if __name__ == "__main__":
    sys.exit(main())
