#!/usr/bin/env bash
# The rate search of scale minilm: four values for every row, a factor of about 3 apart, the same tasks, steps and seed (100);
# the best mean is in conf/tuned. The head's rate beside an adapter and beside full fine-tuning is given.
# Records go to .cache/rates, not to results/. Finished runs are skipped.
# `scripts/minilm_rates.sh model.path=<folder> data.root=<folder> launcher=joblib` runs two at a time, then prints the table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"

search() { "$PYTHON" -m experiments.run -m experiment=minilm_rates scale=minilm paths.results=.cache/rates "$@"; }

search row=head optim.head_lr=2e-3,6e-3,2e-2,6e-2 "$@"
search row=full optim.full_lr=1e-5,3e-5,1e-4,3e-4 "$@"
search row=lora_qv optim.adapter_lr=3e-4,1e-3,3e-3,1e-2 "$@"
search row=vera_qv optim.adapter_lr=3e-3,1e-2,3e-2,1e-1 "$@"
for factor in 1 3 10 30; do # of the paper's pair of rates
    search row=vblora_qv,vblora_all optim.bank_lr="${factor}e-3" optim.logits_lr="${factor}e-2" "$@"
done
"$PYTHON" -m experiments.rates .cache/rates --scale minilm
