#!/usr/bin/env bash
# Fetches the development models into ${BESPOKE_MODELS:-.cache/models}, each verified against the checksum in
# generator/models.toml. What is there and whole is not fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${BESPOKE_PROFILE:-release}
flags=(--locked -p generator)
[ "$profile" = release ] && flags+=(--release)
cargo build -q "${flags[@]}" --bin generator
exec "target/$profile/generator" fetch --into "${BESPOKE_MODELS:-.cache/models}" "$@"
