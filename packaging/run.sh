#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Builds Sigmascope and opens the studio on the sample model. Without a display it does the same job headless:
# L²QER of the sample to GGUF and adapter, with the error of every layer. Leaves its files in build/sample-run.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
. packaging/packages.sh
# shellcheck disable=SC2086
install_missing $run_packages

[ -f build/release/build.ninja ] || cmake --preset release -DSIGMASCOPE_BENCHES=OFF >&2
cmake --build --preset release --target sigmascope sigmascope-cli >&2

if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] && [ "${1:-}" != "--headless" ]; then
    exec build/release/app/sigmascope --sample
fi

out=build/sample-run
mkdir -p "$out"
build/release/app/sigmascope-cli quantize resources/sample --preset l2qer-w4 --calibration resources/sample/imatrix.gguf \
    --to gguf -o "$out/austen-4m-l2qer-w4.gguf" --overwrite --json > "$out/errors.json"
python3 packaging/print_errors.py "$out/errors.json"
echo
echo "Load with: llama-cli -m $out/austen-4m-l2qer-w4.gguf --lora $out/austen-4m-l2qer-w4-lora.gguf"
