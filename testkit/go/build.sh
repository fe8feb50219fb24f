#!/bin/sh
# Generates the stubs and builds the nine checks as one test binary: build.sh OUTPUT. Needs Go and buf in PATH.
set -eu
[ $# -eq 1 ] || { echo "usage: build.sh OUTPUT" >&2; exit 2; }
case $1 in /*) output=$1 ;; *) output=$PWD/$1 ;; esac
cd "$(dirname "$0")"
for tool in go buf; do
  command -v "$tool" >/dev/null || { echo "build.sh: no $tool in PATH" >&2; exit 1; }
done
rm -rf gen
buf generate
go test -c -o "$output" .
