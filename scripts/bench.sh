#!/usr/bin/env bash
# One bench, bench/NAME.py, beside its named peers in the same run; ratios count, absolute times are this machine's.
# The peers of bench/NAME.txt go into .cache/bench/NAME; one that cannot be installed fails the bench.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
shift
[ -f "bench/$name.py" ] || { echo "no bench $name; there are: $(printf '%s\n' bench/*.txt | sed 's|bench/||; s|\.txt||' | xargs)" >&2; exit 2; }
tools=$PWD/.cache/bench/$name
[ -x "$tools/bin/python" ] || python3 -m venv "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check -r "bench/$name.txt"
cargo build --release --locked --workspace --bins --examples
exec "$tools/bin/python" "bench/$name.py" "$@"
