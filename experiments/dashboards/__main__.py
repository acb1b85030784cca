"""W&B's dashboards: `python -m experiments.dashboards COMMAND`; see `--help`.

open      offline runs in the terminal; `make dashboard`
create    a workspace and a report in your W&B entity; `make wandb-dashboard ENTITY=… PROJECT=…`
publish   a scale's tables and figures as an artifact of W&B
search    a sweep of W&B that searches a run's learning rates; `make wandb-search ARGS='row=… task=…'`
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.config import ConfigError
from experiments.dashboards import viewer
from experiments.dashboards.errors import DashboardError
from experiments.families import FAMILIES
from experiments.report import scales

# All but `open` need wandb, `create` wandb-workspaces too: imported when called.


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    args = parser().parse_args(argv)
    try:
        status: int = args.call(args)
    except (DashboardError, ConfigError) as error:
        print(error, file=sys.stderr)
        return 1
    return status


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m experiments.dashboards", description=parser.__doc__)
    words = top.add_subparsers(required=True, metavar="command")
    shows = words.add_parser("open", help="offline runs in the terminal")
    shows.add_argument(
        "--run", default="", help="a part of a run_id: open its newest run (default: list all)"
    )
    creates = words.add_parser("create", help="a workspace and a report in your W&B entity")
    publishes = words.add_parser("publish", help="a scale's tables and figures as an artifact of W&B")
    publishes.add_argument("--tables", default="results/tables", type=Path, help="default: %(default)s")
    publishes.add_argument("--figures", default="results/figures", type=Path, help="default: %(default)s")
    publishes.add_argument("--online", action="store_true", help="upload now; else `wandb sync` does later")
    for command in (shows, publishes):
        command.add_argument(
            "--cache", default=".cache", type=Path, help="of the runs (default: %(default)s)"
        )
    searches = words.add_parser("search", help="a sweep of W&B that searches a run's learning rates")
    searches.add_argument(
        "words", nargs="+", help="of one run: scale=minilm row=vblora_qv task=cola seed=100"
    )
    searches.add_argument("--runs", default=50, type=int, help="at most (default: %(default)s)")
    for command in (creates, publishes, searches):
        command.add_argument("--entity", default="", help="user or team (default: yours)")
        command.add_argument("--project", default="vblora", help="default: %(default)s")
    for command in (creates, publishes):
        command.add_argument("--family", choices=[*FAMILIES], default="glue", help="default: %(default)s")
        command.add_argument("--scale", default="tiny", help="as for `make` (default: %(default)s)")
    calls = ((shows, _open), (creates, _create), (publishes, _publish), (searches, _search))
    for command, call in calls:
        command.set_defaults(call=call)
    return top


def _open(args: argparse.Namespace) -> int:
    return viewer.show(args.cache, args.run)


def _create(args: argparse.Namespace) -> int:
    try:
        from experiments.dashboards import creating, views
    except ImportError as error:
        raise DashboardError(f"{error}; pip install 'vblora[experiments,dashboards]'") from error
    place = views.Place(args.entity, args.project, args.family, scales.find(args.family, args.scale).name)
    for kind, url in creating.create(place).items():
        print(f"{kind}: {url}")
    return 0


def _publish(args: argparse.Namespace) -> int:
    try:
        from experiments.dashboards import publishing
    except ImportError as error:
        raise DashboardError(f"{error}; pip install 'vblora[experiments]'") from error
    where = {"project": args.project, "entity": args.entity or None}
    where |= {"mode": "online" if args.online else "offline"}
    scale = scales.find(args.family, args.scale).name
    files = publishing.publish(scale, args.tables, args.figures, args.cache, **where)
    print(f"scale {scale}: {len(files)} files in the artifact report.{scale}")
    return 0


def _search(args: argparse.Namespace) -> int:
    try:
        from experiments.dashboards import searching
    except ImportError as error:
        raise DashboardError(f"{error}; pip install 'vblora[experiments]'") from error
    agent = searching.create(args.words, args.entity, args.project, args.runs)
    print(f"Start as many agents as you have devices, here, in this environment: {agent}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
