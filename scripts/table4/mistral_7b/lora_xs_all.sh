#!/usr/bin/env bash
# Table 4, Mistral 7B, LoRA-XS all: seed 42. Published (balazy2024): GSM8K 68.01, MATH 17.86.
# GPU hours: the paper prints none.
# Usage: scripts/table4/mistral_7b/lora_xs_all.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=math/paper model=mistral_7b row=lora_xs_all \
    task=metamath seed=42 "$@"
