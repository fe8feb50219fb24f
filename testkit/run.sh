#!/usr/bin/env bash
# The end-to-end tests: a stage, the upstream, a mesh of its own, then the nine checks by a Go client and everything by
# pytest, then all of it is taken away again.
#
#   testkit/run.sh [--keep] [PYTEST ARGUMENTS...]
#   testkit/run.sh --with COMMAND...        runs a command beside the mesh instead of the tests
#
# --keep leaves mesh and stage as they are and prints how to use them. Needs root; what is missing is provisioned.
# Prints the tests' own closing lines. Environment: COFFERDAM_MESH (name of mesh and stage, default e2e),
# COFFERDAM_PORT_BASE (tells meshes of one machine apart, default 7400).
set -euo pipefail

TESTKIT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
ROOT=$(dirname "$TESTKIT")
export COFFERDAM_CACHE=${COFFERDAM_CACHE:-/var/cache/cofferdam}
export COFFERDAM_ROOT=$ROOT
# shellcheck source=deploy/provision/lib.sh
. "$ROOT/deploy/provision/lib.sh"

NAME=${COFFERDAM_MESH:-e2e}
BUILT=$TESTKIT/target/e2e
STAGE=$ROOT/deploy/stage/stage
keep=""
[ "${1:-}" != --keep ] || { keep=yes && shift; }
with=""
[ "${1:-}" != --with ] || { with=yes && shift; }

need_root "the end-to-end tests"
find_go
work=$(mktemp -d "/var/tmp/cofferdam-$NAME.XXXXXX")
chmod 755 "$work"
upstream_pid=""

finish() {
  local status=$?
  trap - EXIT INT TERM
  if [ -n "$keep" ]; then
    printf 'kept: mesh in %s; use it with\n  . %s/env; %s run %s COMMAND\n' "$work/state" "$work" "$STAGE" "$NAME"
    exit $status
  fi
  if [ $status != 0 ]; then
    mkdir -p "$TESTKIT/target/logs"
    cp -r "$work/state/log/." "$TESTKIT/target/logs/" 2>/dev/null || true
    echo "the mesh's logs: $TESTKIT/target/logs" >&2
  fi
  "$ROOT/cofferdam" down --state "$work/state" >/dev/null 2>&1 || true
  [ -z "$upstream_pid" ] || kill "$upstream_pid" 2>/dev/null || true
  "$STAGE" down "$NAME" || true
  rm -rf "$work"
  exit $status
}
trap finish EXIT INT TERM

python_environment() {
  local requirements=$TESTKIT/python/requirements.txt
  # The launcher's tools hold the same requirements; without them an environment is made here.
  PYTHON=$COFFERDAM_CACHE/tools/bin/python3
  if ! "$PYTHON" -c 'import grpc_tools, grpc_status, pytest' 2>/dev/null; then
    PYTHON=$BUILT/venv/bin/python3
    [ -x "$PYTHON" ] || /usr/bin/python3 -m venv "$BUILT/venv"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  fi
  rm -rf "$TESTKIT/python/gen"
  mkdir -p "$TESTKIT/python/gen"
  (cd "$ROOT/proto" && "$PYTHON" -m grpc_tools.protoc -I . --python_out="$TESTKIT/python/gen" \
    --grpc_python_out="$TESTKIT/python/gen" cofferdam/v1/*.proto)
}

go_programs() {
  (cd "$TESTKIT/upstream" && go build -trimpath -o "$BUILT/upstream" .)
  PATH=$COFFERDAM_CACHE/tools/bin:$PATH "$TESTKIT/go/build.sh" "$BUILT/ninechecks.test"
}

start_upstream() {
  local names=(api.echo.test other.echo.test denied.echo.test) line
  mkfifo "$work/ready"
  "$STAGE" outside "$NAME" "$BUILT/upstream" --dir "$work/upstream" --listen 203.0.113.10:443 --plain 203.0.113.10:80 \
    "${names[@]/#/--name=}" --fault expired=expired.echo.test --fault self-signed=self-signed.echo.test \
    --fault wrong-name=wrong-name.echo.test >"$work/ready" 2>"$work/upstream.log" &
  upstream_pid=$!
  read -r line <"$work/ready"
  [[ $line == READY* ]] || die "the upstream did not start: $(cat "$work/upstream.log")"
  "$STAGE" allow "$NAME" 203.0.113.10 443
  "$STAGE" allow "$NAME" 203.0.113.10 80
  # The name that no policy allows lies where nothing is expected, so that a connection to it would count.
  printf '203.0.113.10 %s\n' api.echo.test other.echo.test expired.echo.test self-signed.echo.test wrong-name.echo.test >"$work/hosts"
  printf '203.0.113.66 denied.echo.test\n' >>"$work/hosts"
}

start_mesh() {
  "$STAGE" run "$NAME" "$ROOT/cofferdam" up --detach --state "$work/state" --mesh "$NAME" \
    --port-base "${COFFERDAM_PORT_BASE:-7400}" \
    --upstream-ca "$work/upstream/ca.pem" --hosts "$work/hosts"
  {
    "$ROOT/cofferdam" env --state "$work/state"
    printf 'export COFFERDAM_STATE=%q COFFERDAM_STAGE=%q COFFERDAM_UPSTREAM_DIR=%q COFFERDAM_CANARY=%q\n' \
      "$work/state" "$NAME" "$work/upstream" "$(cd "$TESTKIT/python" && "$PYTHON" -c \
      'from cofferdam_e2e.canary import Canary; print(Canary.fresh())')"
    printf 'export COFFERDAM_TEST_FILES=%q\n' "$work/env"
  } >"$work/env"
  chmod 600 "$work/env"
}

mkdir -p "$BUILT"
step "Python environment and stubs" e2e-python python_environment
PYTHON=$COFFERDAM_CACHE/tools/bin/python3
"$PYTHON" -c 'import grpc_tools, grpc_status, pytest' 2>/dev/null || PYTHON=$BUILT/venv/bin/python3
step "upstream and Go client" e2e-go go_programs
# Outside the stage, which has no way to a package registry.
"$ROOT/cofferdam" provision
"$STAGE" down "$NAME"
"$STAGE" up "$NAME"
start_upstream
start_mesh
# shellcheck disable=SC1091
. "$work/env"

if [ -n "$with" ]; then
  "$STAGE" run "$NAME" "$@"
  exit
fi
status=0
echo "the nine checks, by a client in Go:"
"$STAGE" run "$NAME" "$BUILT/ninechecks.test" -test.v -test.timeout 10m || status=1
echo "everything, by a client in Python:"
(cd "$TESTKIT/python" && "$STAGE" run "$NAME" "$PYTHON" -m pytest "$@") || status=1
exit $status
