#!/usr/bin/env bash
# The demo: a stage, a TLS echo server outside, a mesh of its own inside, the nine claims, and all of it taken away again.
# Called by ./cofferdam demo, which has provisioned everything. Exit 0 only if every claim held.
set -euo pipefail
. "$COFFERDAM_ROOT/deploy/provision/lib.sh"

NAME=demo
STAGE=$COFFERDAM_ROOT/deploy/stage/stage
LAUNCHER="$COFFERDAM_ROOT/cofferdam launcher"
state=/var/lib/cofferdam-demo
upstream_pid=""
begin=$(date +%s%N)

[ $# = 0 ] || die "demo takes no arguments"

# What runs, stands or is in a slot of the mesh named demo.
remains() {
  ip netns pids "$NAME-host" 2>/dev/null || true
  ip netns list | grep -E "^$NAME-(gate|s[0-9]+)\b" || true
  find /sys/fs/cgroup -path "*/cofferdam/$NAME/*" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

take_away() {
  $LAUNCHER down --state "$state" || true
  # Before the stage's end kills whatever is in its namespaces.
  left=$(remains)
  [ -z "$upstream_pid" ] || kill "$upstream_pid" 2>/dev/null || true
  "$STAGE" down "$NAME"
  rm -rf "$state"
}

finish() {
  local status=$? left=""
  trap - EXIT INT TERM
  if [ $status != 0 ] && [ -d "$state/log" ]; then
    mkdir -p "$CACHE_LOG/demo"
    cp "$state"/log/* "$CACHE_LOG/demo/"
    echo "the mesh's logs are kept in $CACHE_LOG/demo" >&2
  fi
  take_away
  # The demo's own promise: it leaves nothing behind.
  [ -z "$left" ] || { echo "left behind: $left" >&2; status=1; }
  printf 'stopped and removed after %s\n' "$(elapsed "$begin")"
  exit $status
}

# What a demo that was killed may have left.
if [ -d "$state" ]; then take_away; else "$STAGE" down "$NAME"; fi
trap finish EXIT INT TERM

mkdir -p "$state/upstream"
"$STAGE" up "$NAME"
mkfifo "$state/ready"
"$STAGE" outside "$NAME" "$COFFERDAM_CACHE/bin/upstream" --dir "$state/upstream" --listen 203.0.113.10:443 \
  --name api.echo.test --name other.echo.test >"$state/ready" 2>"$state/upstream/log" &
upstream_pid=$!
read -r line <"$state/ready" || true
[[ ${line:-} == READY* ]] || die "the upstream did not start: $(cat "$state/upstream/log")"
"$STAGE" allow "$NAME" 203.0.113.10 443
# The name that no policy allows lies where nothing is expected: a connection to it would count.
printf '203.0.113.10 api.echo.test other.echo.test\n203.0.113.66 denied.echo.test\n' >"$state/hosts"

printf '\nThe mesh, in a world whose only uplink counts packets:\n'
"$STAGE" run "$NAME" $LAUNCHER up --detach --state "$state" --mesh "$NAME" \
  --upstream-ca "$state/upstream/ca.pem" --hosts "$state/hosts"
printf 'What it claims:\n'
"$STAGE" run "$NAME" $LAUNCHER claims --state "$state" --stage "$NAME" --stage-script "$STAGE" --upstream "$state/upstream"
