#!/bin/sh
# usage: build.sh OUTPUT — builds the static node-helper binary.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 OUTPUT" >&2; exit 2; }
case $1 in /*) output=$1 ;; *) output=$PWD/$1 ;; esac
cd "$(dirname "$0")"
PATH=$PATH:/usr/local/go/bin
export PATH
CGO_ENABLED=0 exec go build -trimpath -buildvcs=false -ldflags '-s -w' -o "$output" .
