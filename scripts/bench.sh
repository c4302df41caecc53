#!/usr/bin/env bash
# Every bench, each beside a named peer in the same run; ratios count, absolute times are this machine's.
# A table on standard output, the figures in target/bench/NAME.json.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.cache/bench
[ -x "$tools/bin/python" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.4 scipy==1.16.3 scikit-learn==1.7.2 safetensors==0.6.2
cargo build --release --locked --workspace --bins
mkdir -p target/bench
exec "$tools/bin/python" scripts/bench_factorise.py target/release/recommender target/bench "$@"
