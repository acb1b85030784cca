#!/usr/bin/env bash
# The rate search of scale tiny, the same for every row: four values of one rate on six tasks and seed 100, then the two
# best on seed 101 too; the best mean of the two seeds is in conf/tuned. No table reports these seeds. Beside an
# adapter the head's rate is 1e-2, the logits' 5e-2; beside full fine-tuning the head's is 1e-3.
# Records go to .cache/rates; at the end it prints the mean of every setting.
# Usage: scripts/tiny_rates.sh [more words for experiments.run, such as launcher=joblib]
# About half an hour on two cores with launcher=joblib. Finished runs are skipped. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

search() { "$PYTHON" -m experiments.run -m experiment=tiny_rates paths.results=.cache/rates "$@"; }

search row=head optim.head_lr=3e-3,1e-2,3e-2,1e-1 "$@"
search row=full optim.full_lr=3e-4,5e-4,1e-3,3e-3 "$@"
search row=full model=tiny_scratch optim.full_lr=3e-4,1e-3,3e-3,1e-2 "$@"
search row=lora_qv optim.adapter_lr=1e-3,3e-3,5e-3,1e-2 "$@"
search row=vera_qv,vera_all optim.adapter_lr=3e-3,1e-2,3e-2,1e-1 "$@"
search row=tied_lora_qv,tied_lora_all optim.adapter_lr=1e-3,3e-3,1e-2,3e-2 "$@"
search row=vblora_qv,vblora_all optim.bank_lr=3e-3,1e-2,3e-2,1e-1 "$@"

search seed=101 row=head optim.head_lr=1e-2,3e-2 "$@"
search seed=101 row=full optim.full_lr=3e-4,1e-3 "$@"
search seed=101 row=full model=tiny_scratch optim.full_lr=1e-3,3e-3 "$@"
search seed=101 row=lora_qv optim.adapter_lr=3e-3,5e-3 "$@"
search seed=101 row=vera_qv,vera_all optim.adapter_lr=3e-2,1e-1 "$@"
search seed=101 row=tied_lora_qv,tied_lora_all optim.adapter_lr=3e-3,1e-2 "$@"
search seed=101 row=vblora_qv optim.bank_lr=1e-2,3e-2 "$@"
search seed=101 row=vblora_all optim.bank_lr=3e-3,1e-2 "$@"
"$PYTHON" -m experiments.rates .cache/rates
