"""One-off measurements whose tables the documentation holds: `python -m experiments.studies --help`."""
