#!/bin/sh
# Builds the guest's agent: one static binary, the same bytes for the same sources and toolchain.
#
#   build.sh OUTPUT     builds it
#   build.sh --stubs    only generates the Go stubs, which `go test` and editors need
#
# Needs Go in PATH and buf, in PATH or named by BUF.
set -eu
[ $# -eq 1 ] || { echo "usage: build.sh OUTPUT | --stubs" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
case $1 in --stubs | /*) output=$1 ;; *) output=$PWD/$1 ;; esac
cd "$here"
command -v go >/dev/null || { echo "build.sh: no go in PATH; install Go and put its bin directory into PATH" >&2; exit 1; }

# For the stubs' generators too: with one set of flags Go compiles a package that both need once.
export CGO_ENABLED=0 GOOS=linux GOFLAGS="-trimpath -buildvcs=false"

# The stamp is a digest of all that decides the stubs. File times would not do: a checkout sets them at will.
stubs=internal/gen
stamp=$(cat ../proto/buf.yaml ../proto/cofferdam/v1/*.proto ../proto/cofferdam/internal/v1/*.proto buf.gen.yaml go.mod | sha256sum | cut -d' ' -f1)
if [ "$(cat $stubs/.stamp 2>/dev/null)" != "$stamp" ]; then
  buf=${BUF:-buf}
  command -v "$buf" >/dev/null || { echo "build.sh: no buf in PATH; install it (PyPI: buf-bin) or set BUF" >&2; exit 1; }
  rm -rf $stubs
  "$buf" generate
  echo "$stamp" >$stubs/.stamp
fi
[ "$output" != --stubs ] || exit 0

# grpcnotrace leaves out a debugging page, and with it html/template and a third of the binary.
# -buildid= and -trimpath keep the digest free of where and when it was built.
go build -tags grpcnotrace -ldflags '-s -w -buildid=' -o "$output" .
