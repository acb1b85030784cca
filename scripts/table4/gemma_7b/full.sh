#!/usr/bin/env bash
# Table 4, Gemma 7B, Full fine-tuning: seed 42. Published (balazy2024): GSM8K 71.34, MATH 22.74.
# GPU hours: the paper prints none.
# Usage: scripts/table4/gemma_7b/full.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=math/paper model=gemma_7b row=full \
    task=metamath seed=42 "$@"
