#!/usr/bin/env bash
# The rate search of scale minilm: three values for every row, the same tasks, steps and seed (100).
# The head's rate beside an adapter and beside full fine-tuning is given. Records go to .cache/rates, not to results/.
# `scripts/minilm_rates.sh model.path=<folder> data.root=<folder> launcher=joblib` runs two at a time, then prints the table.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

search() { "$PYTHON" -m experiments.run -m experiment=minilm_rates scale=minilm paths.results=.cache/rates "$@"; }

search row=head optim.head_lr=2e-3,6e-3,2e-2 "$@"
search row=full optim.full_lr=3e-5,1e-4,3e-4 "$@"
search row=lora_qv optim.adapter_lr=1e-3,3e-3,1e-2 "$@"
search row=vera_qv optim.adapter_lr=3e-3,1e-2,3e-2 "$@"
for factor in 1 3 10; do # of the paper's pair of rates
    search row=vblora_qv,vblora_all optim.bank_lr="${factor}e-3" optim.logits_lr="${factor}e-2" "$@"
done
"$PYTHON" -m experiments.rates .cache/rates --scale minilm
