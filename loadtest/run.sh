#!/usr/bin/env bash
# The load tests against a mesh of their own, in a stage with the test upstream:
#
#   loadtest/run.sh create [--pool restored|vmm|none] [--creates 50] [--parallel 1] [--burst 20] [--json FILE]
#   loadtest/run.sh attach [--cycles 500] [--parallel 1] [--json FILE]
#   loadtest/run.sh https [--rates 200,500,1000] [--rounds 5] [--seconds 3] [--warm-up 6] [--only NAMES] [--json FILE]
#   loadtest/run.sh bodies [--bytes 10000000] [--directions DOWNLOAD,UPLOAD] [--content RANDOM|TEXT] [--rounds 3] [--seconds 2] [--json FILE]
#   loadtest/run.sh idle [--connections 5000] [--sandboxes 10] [--json FILE]
#   loadtest/run.sh flood [--rate 200] [--kinds ALLOWED,DENIED,USES] [--rounds 3] [--seconds 4] [--json FILE]
#   loadtest/run.sh sdk [--parts CREATE,SPAWN,FILES,IDLE] [--creates 30] [--spawns 200] [--bytes 64000000] [--sessions 500] [--json FILE]
#   loadtest/run.sh policy [--only REQUEST,POLICY,DATA,SEARCH]
#
# Needs root, but for `policy`. See loadtest/README.md for what each number means.
set -euo pipefail
ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
export COFFERDAM_ROOT=$ROOT COFFERDAM_CACHE=${COFFERDAM_CACHE:-/var/cache/cofferdam}
# shellcheck source=deploy/provision/lib.sh
. "$ROOT/deploy/provision/lib.sh"
[ $# -gt 0 ] || die "which workload? loadtest/run.sh create|attach|https|bodies|idle|flood|sdk|policy [OPTIONS]"
[ "$1" = policy ] || need_root "the load tests"
find_jdk
find_maven

# What of the pool the node keeps is its configuration; --pool says the same to the load test, which waits for it.
if [ "$1" = create ]; then
  pool=restored previous=
  for argument in "$@"; do
    case $argument in --pool=*) pool=${argument#--pool=} ;; esac
    [ "$previous" != --pool ] || pool=$argument
    previous=$argument
  done
  case $pool in
    restored) ;;
    vmm) COFFERDAM_SET="${COFFERDAM_SET:-} node.pool.restored=0" ;;
    none) COFFERDAM_SET="${COFFERDAM_SET:-} node.pool.restored=0 node.pool.waiting=0 node.slots.spare=0" ;;
    *) die "--pool $pool: expected restored, vmm or none" ;;
  esac
fi
# A burst, or many sandboxes at a time, are to be held back by the machine, not by what guests may be promised together.
case $1 in create | idle) export COFFERDAM_SET="${COFFERDAM_SET:-} node.memory.limit-mib=16384" ;; esac

build() {
  cd "$ROOT"
  mvn -B -ntp -q -pl loadtest -am package dependency:copy-dependencies -Dmaven.test.skip=true -Dspotless.check.skip=true \
    -DincludeScope=runtime -DoutputDirectory=target/lib
}

# A peer of the https workload, in an environment of its own. What cannot be had is not measured.
mitmproxy() {
  local into=$COFFERDAM_CACHE/tools/mitmproxy
  rm -rf "$into"
  if ! { /usr/bin/python3 -m venv "$into" && "$into/bin/pip" install -q mitmproxy; }; then rm -rf "$into"; fi
}

step "load tests (Maven)" loadtest build
if [ "$1" = https ] || [ "$1" = bodies ]; then
  export COFFERDAM_MITMDUMP=$COFFERDAM_CACHE/tools/mitmproxy/bin/mitmdump
  [ -x "$COFFERDAM_MITMDUMP" ] || step "mitmproxy (PyPI)" loadtest-mitmproxy mitmproxy
fi
program=("$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow -Xmx256m
  -cp "$ROOT/loadtest/target/loadtest-0.1.0-SNAPSHOT.jar:$ROOT/loadtest/target/lib/*" dev.cofferdam.loadtest.Main)
[ "$1" != policy ] || exec "${program[@]}" "$@"
COFFERDAM_MESH=${COFFERDAM_MESH:-load} exec "$ROOT/testkit/run.sh" --with "${program[@]}" "$@"
