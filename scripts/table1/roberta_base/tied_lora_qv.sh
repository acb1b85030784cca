#!/usr/bin/env bash
# Table 1, RoBERTa-base, Tied-LoRA qv: 6 tasks x 5 seeds. Published average: 83.8.
# GPU hours: about 83 (Table 7, VB-LoRA qv).
# Usage: scripts/table1/roberta_base/tied_lora_qv.sh [more words for experiments.run, such as launcher=slurm]
# Finished runs are skipped. PYTHON names the interpreter. Made by `make scripts`; do not edit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
exec "$PYTHON" -m experiments.run -m scale=paper model=roberta_base row=tied_lora_qv \
    task=sst2,mrpc,cola,qnli,rte,stsb seed=0,1,2,3,4 "$@"
