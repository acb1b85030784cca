"""The paper's figures, of records and the footprints beside them: `python -m experiments.report figures`."""
