"""Speed side by side: a measurement runs its sides in turn in one process and compares them round by round.

    python -m benchmarks batching --data DATA --vocabulary VOCABULARY
    python -m benchmarks --help

Machines differ and are shared, so what counts is a ratio from one run. A result is a JSON file of the
machine's name under `benchmarks/results/`; README's tables are made from those files.
"""
