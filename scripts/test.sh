#!/usr/bin/env bash
# Every test of the workspace, with the real parts they need: the model, PostgreSQL.
# What is absent is fetched or started here; nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n== %s\n' "$*" >&2; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

postgres() {
    listens 5432 && return
    say "PostgreSQL is absent: installing and starting it"
    if ! command -v pg_ctlcluster >/dev/null; then
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy postgresql
    fi
    local version
    version=$(find /etc/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -rn | head -n 1)
    # Tests connect over loopback without a password.
    sed -i -E 's/^(host +all +all +127\.0\.0\.1\/32 +).*/\1trust/' "/etc/postgresql/$version/main/pg_hba.conf"
    pg_ctlcluster --skip-systemctl-redirect "$version" main restart
    for _ in $(seq 30); do listens 5432 && return; sleep 1; done
    say "PostgreSQL did not start"
    exit 1
}

# Nothing is built twice here, and what incremental builds keep for the next time is as large as the rest.
export CARGO_INCREMENTAL=0

postgres
say "building"
cargo build --workspace --bins --locked
say "model"
BESPOKE_PROFILE=debug scripts/model.sh
say "tests"
cargo test --workspace --locked "$@"
