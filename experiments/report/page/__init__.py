"""One HTML page of all results, self-contained: `make page` (`python -m experiments.report page`)."""
