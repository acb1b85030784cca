#!/usr/bin/env bash
# Table 2, GPT-2 medium, Full fine-tuning: 3 seeds. Published (hu2021): BLEU 68.2, NIST 8.62, METEOR 46.2, ROUGE-L 71.0, CIDEr 2.47.
# GPU hours: about 9 (Table 8, VB-LoRA all).
# Usage: scripts/table2/gpt2_medium/full.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=e2e/paper model=gpt2_medium row=full \
    task=e2e seed=0,1,2 "$@"
