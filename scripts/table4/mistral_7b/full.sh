#!/usr/bin/env bash
# Table 4, Mistral 7B, Full fine-tuning: seed 42. Published (balazy2024): GSM8K 67.02, MATH 18.60.
# GPU hours: the paper prints none.
# Usage: scripts/table4/mistral_7b/full.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=math/paper model=mistral_7b row=full \
    task=metamath seed=42 "$@"
