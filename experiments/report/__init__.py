"""From records to tables: `python -m experiments.report --help`. No record, no number."""
