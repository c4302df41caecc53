# Thin verbs; the work is in cargo and scripts/.
.DEFAULT_GOAL := help
.PHONY: help demo run test check bench model

BENCHES := $(basename $(notdir $(wildcard bench/*.txt)))

CARGO ?= cargo

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 10

demo: model ## the main job on a real shop's year: import, train, personalise, learn from a click
	$(CARGO) build --release --locked --workspace --bins
	target/release/shop demo

run: model ## the four services on 127.0.0.1:7000-7003, with the demo's shop in them, until Ctrl-C
	$(CARGO) build --release --locked --workspace --bins
	target/release/shop run

test: ## every test; fetches the model and starts the servers it needs
	scripts/test.sh

check: ## formatting, lints, the contract, licences, manifests
	scripts/check.sh

bench: $(BENCHES:%=bench-%) ## every bench, each beside a named peer; bench-NAME runs one

bench-%:
	scripts/bench.sh $*

# These read weights.
bench-copywriting bench-generator bench-words: model

model: ## fetch and verify the development models into .cache/models
	scripts/model.sh
