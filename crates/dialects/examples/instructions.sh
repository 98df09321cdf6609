#!/bin/sh
# Instructions of every step of the codecs, for a plain call of 1 KB, one with tools, and 60 KB of history. Needs valgrind.
# Streams are counted per event of a hundred.
set -eu
cd "$(dirname "$0")/../../.."
export CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_DEBUG=1
cargo build --release --locked --quiet --package gatewright-dialects --example instructions
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
for size in plain tools long; do
    valgrind --tool=callgrind --callgrind-out-file="$out/$size" target/release/examples/instructions $size 2> "$out/log"
    echo "== $size"
    callgrind_annotate --inclusive=yes --threshold=100 --show-percs=no "$out/$size" 2> "$out/log" \
        | sed -n 's/^ *\([0-9,]*\) .*instructions::steps::\([a-z_]*\)[^a-z_].*/\1 \2/p' | tr -d , | sort -u -k2,2 \
        | awk '{ printf "%8d  %s\n", $1 / 1000, $2 }'
done
