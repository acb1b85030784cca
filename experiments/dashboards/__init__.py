"""W&B beyond single runs: workspace and report in code, tables as artifacts, offline runs in the terminal."""
