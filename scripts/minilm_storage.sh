#!/usr/bin/env bash
# What storing costs, on a real encoder and real tasks: VB-LoRA's rows of scale minilm leave their adapters, and on all layers
# two further kinds of run learn selections only, against a bank that does not train: STS-B's, trained by the run of the same
# seed (variant stsb_bank), and one of random vectors (variant random_bank), which tells what the trained one is worth.
# Before, a search of the logits' rate for such runs, on a seed (100) that no table reports.
# Then `experiments.fewer_bits` stores every adapter in 32, 16 and 8 bits and asks each for its answers again.
# Records and adapters go to .cache/storage, what is found to .cache/precision, nothing to results/. Finished runs are skipped.
# `scripts/minilm_storage.sh launcher=joblib` runs two at a time: two hours on two cores; model.path=<folder> data.root=<folder>
# reads folders in place of the hub.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON="${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else echo python; fi)}"
ADAPTERS=.cache/storage/adapters
ROWS="row=vblora_qv,vblora_all task=cola,stsb,mrpc seed=0,1,2"

run() { "$PYTHON" -m experiments.run -m scale=minilm paths.results=.cache/storage/runs paths.adapters=$ADAPTERS "$@"; }
# Against the bank of the STS-B run of a seed.
shared() {
    seed=$1
    run row=vblora_all task=cola,mrpc method.options.train_bank=false \
        method.options.bank="$ADAPTERS/minilm/glue/stsb/minilm/vblora-all/seed$seed" "${@:2}"
}

run $ROWS "$@"
shared 0 seed=100 optim.logits_lr=3e-2,1e-1,3e-1,1 "$@"
for seed in 0 1 2; do
    shared "$seed" seed="$seed" variant=stsb_bank "$@"
done
run row=vblora_all task=cola,mrpc seed=0,1,2 variant=random_bank optim.bank_lr=0 "$@"
"$PYTHON" -m experiments.rates .cache/storage/runs --scale minilm
"$PYTHON" -m experiments.fewer_bits scale=minilm $ROWS paths.results=.cache/storage/runs paths.adapters=$ADAPTERS "${@/launcher=*/launcher=basic}"
