"""Grade files of answers again: `python -m experiments.grading FILE…` prints each file's score."""

import argparse
import sys
from pathlib import Path

from experiments.grading import answers
from experiments.grading.glue import GradingError


def main(arguments: list[str] | None = None) -> int:
    """Print `file task metric score answers` for every file; 1 if one could not be graded."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.grading", description="Scores of saved answers."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="…answers.jsonl beside a record")
    failed = False
    for path in parser.parse_args(arguments).files:
        try:
            saved = answers.read(path)
            for metric, value in answers.grade(saved).items():
                print(f"{path}\t{saved.header['task']}\t{metric}\t{value!r}\t{len(saved.rows)} answers")
        except GradingError as error:
            failed = True
            print(f"{path}: {error}" if str(path) not in str(error) else error, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
