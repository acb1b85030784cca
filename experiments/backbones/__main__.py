"""Make the shipped backbones anew: `python -m experiments.backbones [glue e2e instruct math]`.

Each takes minutes. Other weights come out on another processor, so the records of scale tiny follow: their
hash holds the digest of these files.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import torch

from experiments import backbones


def main() -> None:
    """Pretrain, and put what came out where the shipped ones lie."""
    parser = argparse.ArgumentParser(description="Make the shipped backbones of scale tiny anew.")
    parser.add_argument("families", nargs="*", help=f"of {', '.join(backbones.FAMILIES)}; default: all")
    args = parser.parse_args()
    if unknown := set(args.families) - set(backbones.FAMILIES):
        parser.error(f"no family {', '.join(sorted(unknown))}; choose from {', '.join(backbones.FAMILIES)}")
    for family in args.families or backbones.FAMILIES:
        with tempfile.TemporaryDirectory() as cache:
            made = backbones.made(family, None, Path(cache))
            backbones.write_recipe(family, made, torch.__version__.partition("+")[0])
            target = backbones.folder(family)
            shutil.copytree(made, target, dirs_exist_ok=True)  # the same names, so nothing old stays
        print(f"{target}: {sum(file.stat().st_size for file in target.iterdir()):,} bytes")


if __name__ == "__main__":
    main()
