"""The command: `python -m experiments.studies robustness`."""

import argparse

from experiments.studies import robustness

STUDIES = {"robustness": robustness}


def main() -> int:
    """Run the study that is named."""
    parser = argparse.ArgumentParser(prog="python -m experiments.studies", description=__doc__)
    commands = parser.add_subparsers(dest="study", required=True, metavar="STUDY")
    for name, study in STUDIES.items():
        study.add_arguments(commands.add_parser(name, help=study.TITLE, description=study.TITLE))
    args = parser.parse_args()
    status: int = STUDIES[args.study].main(args)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
