#!/usr/bin/env bash
# Table 2, GPT-2 medium, VB-LoRA all: 3 seeds. Published (li2024): BLEU 70.0, NIST 8.81, METEOR 46.6, ROUGE-L 71.5, CIDEr 2.52.
# GPU hours: about 9 (Table 8).
# Usage: scripts/table2/gpt2_medium/vblora_all.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=e2e/paper model=gpt2_medium row=vblora_all \
    task=e2e seed=0,1,2 "$@"
