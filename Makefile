# The two commands: `make run` builds and serves, `make test` passes all tests. Both set up what they need.

CARGO ?= cargo
RECORDINGS ?=
FACTS ?=
MODELS := crates/catalogue/data/models.txt

.PHONY: run test databases lint conformance bench overload fuzz build catalogue

# Serves on 127.0.0.1:4000 without a file or a key: a demo model, and every provider whose key is in the environment.
run:
	$(CARGO) run --release --locked --package gatewright -- $(ARGS)

build:
	$(CARGO) build --locked --workspace --bins

# The tests start the built binary, so it is built first.
test: build databases
	$(CARGO) test --locked --workspace

# The tests start servers of their own; where their programs are missing, Debian's packages are installed for that.
databases:
	@ls /usr/lib/postgresql/*/bin/initdb /usr/sbin/pgbouncer /usr/bin/sqlite3 /usr/bin/redis-server > /dev/null 2>&1 || { \
	    as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	    $$as_root apt-get -qq update > /dev/null && \
	    $$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends postgresql pgbouncer sqlite3 redis-server > /dev/null; }

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	config/deny

# Replays recorded traffic of real providers: make conformance RECORDINGS=<folder of *.jsonl.gz>
conformance: build
	RECORDINGS=$(abspath $(RECORDINGS)) $(CARGO) test --locked -p gatewright-dialects --test recordings --test anthropic_recordings --test gemini_codec --test bedrock_recordings -- --nocapture
	RECORDINGS=$(abspath $(RECORDINGS)) $(CARGO) test --locked -p gatewright-tests --test conformance --test requests -- --nocapture

# Writes the table of models from a facts file, or the one that is there anew: make catalogue FACTS=<models.jsonl>
catalogue:
	$(CARGO) run --quiet --locked -p gatewright-catalogue --example compact -- $(or $(FACTS),$(MODELS)) $(MODELS)

# What a choice of the router costs; then load through nothing, a bare proxy and the gateway, every figure as a ratio to the
# bare proxy.
bench: databases
	$(CARGO) build --release --locked --package gatewright
	$(CARGO) bench --locked --package gatewright-routing --bench routing
	$(CARGO) bench --locked --package gatewright-tests --bench gateway -- $(ARGS)

# More calls than the gateway takes: what it still answers, and who waits. Two minutes.
overload:
	$(MAKE) bench ARGS="--only overload"

# Each target for SECONDS (default 60).
fuzz:
	tests/fuzz/run $(or $(SECONDS),60)
