#!/usr/bin/env bash
# Fetches the development models into ${BESPOKE_MODELS:-.cache/models}, each verified against the checksum in
# generator/models.toml. What is there and whole is not fetched again.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${BESPOKE_PROFILE:-release}
# All binaries in one go: what is built for one crate alone has other features and would be built twice.
flags=(--workspace --bins --locked)
[ "$profile" = release ] && flags+=(--release)
cargo build "${flags[@]}"
exec "target/$profile/generator" fetch --into "${BESPOKE_MODELS:-.cache/models}" "$@"
