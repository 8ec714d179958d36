#!/bin/sh
# On a machine with a GPU, without network, in less than nine minutes: the measurements, then the tests that need a GPU.
# With GIPI_DATA, where that folder has multi30k, up to nine more: translation, asked for 28 and 36 BLEU.
#   sh bench/gpu.sh          PYTHON=python3.12 sh bench/gpu.sh --tiny tries whether all runs
cd "$(dirname "$0")/.." || exit 1
export PYTHONPATH="$PWD"
PYTHON="${PYTHON:-python3}"
"$PYTHON" -c 'import torch; print("GPU:", torch.cuda.get_device_name() if torch.cuda.is_available() else "none")' || exit 1
timeout 300 "$PYTHON" bench/gpu.py "$@"
measured=$?
[ -d "$GIPI_DATA/multi30k" ] && timeout 540 "$PYTHON" bench/translate.py "$(mktemp)" --gpu
timeout 200 "$PYTHON" -m pytest -q -rs -k "gpu or cuda" tests
tested=$?
[ $tested -eq 5 ] && echo "there are no tests for a GPU" && tested=0
[ $measured -eq 0 ] && [ $tested -eq 0 ]
