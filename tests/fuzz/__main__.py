"""`python -m tests.fuzz TARGET ... --inputs N --seed S --save FOLDER`."""

import argparse
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.targets import TARGETS
from tests.fuzz.worker import fuzz


def main() -> int:
    """Fuzz readers; the exit code is 1 if an input failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("targets", nargs="+", choices=[*TARGETS, "all"])
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path, help="folder for inputs that failed")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    names = list(TARGETS) if "all" in options.targets else options.targets
    has_failures = False
    for name in names:
        with TemporaryDirectory() as folder:
            report = fuzz(TARGETS[name], options.inputs, options.seed, Path(folder))
        print(
            f"{name}: {report.inputs} inputs, {len(report.failures)} failures, "
            f"{report.unconfirmed} not repeated, {report.lines} lines reached, "
            f"{report.seconds:.0f} s",
            flush=True,
        )
        for number, (problem, data) in enumerate(report.failures):
            has_failures = True
            if options.save:
                options.save.mkdir(parents=True, exist_ok=True)
                file = options.save / f"{name}-{options.seed}-{number}"
                file.write_bytes(data)
                file.with_suffix(".txt").write_text(problem, encoding="utf-8")
            else:
                print(f"  {problem.strip().splitlines()[-1][:200]}", flush=True)
    return int(has_failures)


if __name__ == "__main__":
    sys.exit(main())
