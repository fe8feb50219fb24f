#!/usr/bin/env bash
# Everything that CI runs. Parts, in this order, each selectable by --only:
#
#   proto      buf lint and breaking changes against the last tag, else the last commit
#   go         go vet and go test of every Go module, those that need root and the guest agent's in real VMs included
#   java       mvn verify: compiler checks, format, tests of every module
#   qemu       the driver's contract with whole guests in the jail, against the real QEMU
#   cloud-hypervisor
#              the same against the real Cloud Hypervisor, if a binary is in PATH or named by COFFERDAM_CLOUD_HYPERVISOR: on this machine's KVM
#              where that boots a guest, else in an outer machine with emulated virtualisation
#   e2e        a mesh with real VMs, driven by clients in Go and Python; --only e2e:EXPRESSION is pytest's -k
#   demo       the nine claims, as a user sees them
#
# --long lets tests take their long form (COFFERDAM_TEST_LONG=1). The last line is "N passed, N failed".
set -euo pipefail
. "$COFFERDAM_ROOT/deploy/provision/lib.sh"

only="" passed=0 failed=0 skipped=0
while [ $# -gt 0 ]; do
  case $1 in
    --long) export COFFERDAM_TEST_LONG=1 ;;
    --only)
      only=${2:?--only needs proto, go, java, qemu, cloud-hypervisor, e2e or demo}
      shift
      ;;
    *) die "test: unknown argument '$1', expected --long or --only NAME" ;;
  esac
  shift
done
[[ ${only%%:*} =~ ^(proto|java|go|qemu|cloud-hypervisor|e2e|demo|)$ ]] || die "test: no part '$only', expected proto, go, java, qemu, cloud-hypervisor, e2e or demo"

wanted() { [ -z "$only" ] || [ "${only%%:*}" = "$1" ]; }

# part NAME COMMAND...: runs it with its output in a log, then counts by count_NAME what the log or the reports tell.
part() {
  begin_part "$@"
  end_part "$1"
}

# begin_part NAME COMMAND...: a part that goes on beside what follows, until end_part NAME counts it.
begin_part() {
  local name=$1
  shift
  wanted "$name" || return 0
  set -m
  {
    begin=$(date +%s%N) status=0
    "$@" || status=$?
    echo "$status $(elapsed "$begin")" >"$work/$name.end"
  } >"$CACHE_LOG/test-$name.log" 2>&1 </dev/null &
  PARTS[$name]=$!
  set +m
}

end_part() {
  local name=$1 log=$CACHE_LOG/test-$1.log status took p=0 f=0 s=0
  wanted "$name" || return 0
  printf '  %-10s ' "$name"
  wait "${PARTS[$name]}" || true
  unset "PARTS[$name]"
  read -r status took <"$work/$name.end"
  read -r p f s < <("count_$name" "$log")
  # A part that broke before it could count is a failure too.
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  if [ "$status" = 0 ] && [ $((p + f)) = 0 ]; then f=1 && echo "no test ran" >>"$log"; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  printf '%4d passed, %d failed, %d skipped, %s\n' "$p" "$f" "$s" "$took"
  if [ "$f" != 0 ]; then
    "failures_$name" "$log" | head -n 120 | sed 's/^/    | /'
    echo "    the whole log: $log"
  fi
}

run_proto() {
  local against status=0
  cd "$COFFERDAM_ROOT"
  if buf lint proto; then echo "PASS lint"; else echo "FAIL lint" && status=1; fi
  against=$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse --verify -q HEAD~1 || true)
  if [ -n "$against" ] && git cat-file -e "$against:proto/buf.yaml" 2>/dev/null; then
    # A module of its own: the checkout may be shallow or foreign to buf's own git.
    rm -rf "$work/before" && mkdir -p "$work/before"
    git archive "$against" proto | tar -x -C "$work/before"
    if buf breaking proto --against "$work/before/proto"; then echo "PASS breaking since $against"; else echo "FAIL breaking since $against" && status=1; fi
  fi
  return $status
}
count_proto() { echo "$(grep -c ^PASS "$1") $(grep -c ^FAIL "$1") 0"; }
failures_proto() { grep -v ^PASS "$1"; }

run_java() {
  cd "$COFFERDAM_ROOT"
  find . -path '*/target/surefire-reports/TEST-*.xml' -delete
  # A real OpenBao for the Vault store's tests, which fail when the one that is named is missing.
  export COFFERDAM_BAO=$COFFERDAM_CACHE/tools/bin/bao
  local status=0
  mvn -B -ntp -T 2 -fae verify || status=1
  if [ -n "${COFFERDAM_TEST_LONG:-}" ]; then testkit/fuzz.sh 200000 || status=1; fi
  return $status
}
count_java() {
  find "$COFFERDAM_ROOT" -path '*/target/surefire-reports/TEST-*.xml' -print0 | xargs -0 -r grep -ho '<testsuite [^>]*' \
    | awk '{ for (i = 1; i <= NF; i++) if (split($i, pair, "\"") > 1) {
               if (pair[1] == "tests=") t += pair[2]; if (pair[1] == "failures=" || pair[1] == "errors=") f += pair[2]
               if (pair[1] == "skipped=") s += pair[2] } }
           END { print t - f - s, f + 0, s + 0 }'
}
failures_java() { grep -E '^\[ERROR\]|FAILURE' "$1" || tail -n 40 "$1"; }

run_go() {
  local module status=0
  for module in guest-agent node-helper testkit/upstream; do
    cd "$COFFERDAM_ROOT/$module"
    if [ "$module" = guest-agent ]; then ./build.sh --stubs || status=1; fi
    go vet ./... || status=1
    go test -v ./... || status=1
  done
  cd "$COFFERDAM_ROOT/guest-agent"
  # Each target with inputs that it makes up; those that it began with were run above. So many, not for so long: a deadline that comes at the wrong
  # moment is taken for a failure of the target's.
  for target in guest:FuzzConfigure file:FuzzPath file:FuzzPageToken process:FuzzSpec; do
    go test -v -run '^$' -fuzz "^${target#*:}\$" -fuzztime "$([ -n "${COFFERDAM_TEST_LONG:-}" ] && echo 20000x || echo 1000x)" "./internal/${target%%:*}" || status=1
  done
  go vet -tags grpcnotrace,vm ./vm || status=1
  COFFERDAM_IMAGE=$(cat "$CACHE_STAMPS/image.out") go test -tags grpcnotrace,vm -v ./vm || status=1
  return $status
}
# Everything that a test could ask for is here: one that skips has not looked.
count_go() { echo "$(grep -c '^--- PASS' "$1") $(grep -cE '^--- (FAIL|SKIP)' "$1") 0"; }
failures_go() { grep -B20 -E '^ *--- (FAIL|SKIP)|^FAIL|panic:' "$1" || tail -n 40 "$1"; }

run_e2e() {
  if [[ $only == e2e:* ]]; then "$COFFERDAM_ROOT/testkit/run.sh" -k "${only#e2e:}"; else "$COFFERDAM_ROOT/testkit/run.sh"; fi
}
count_e2e() {
  # pytest closes each world with "= 3 failed, 70 passed, 1 skipped in 200 s ="; the Go client tells each test.
  closed() { { grep -E '^=+ .*(passed|failed|error).* in ' "$log" | grep -oE "[0-9]+ $1" || true; } | awk '{ n += $1 } END { print n + 0 }'; }
  local log=$1
  echo "$(($(closed passed) + $(grep -c '^ *--- PASS' "$log"))) $(($(closed failed) + $(closed error) + $(grep -c '^ *--- FAIL' "$log"))) $(closed skipped)"
}
failures_e2e() { grep -E '^(FAILED|ERROR)|--- FAIL|^E  |^mesh\| ' "$1" || tail -n 40 "$1"; }

run_demo() { "$COFFERDAM_ROOT/cofferdam" demo; }
count_demo() { echo "$(grep -c '^     ok ' "$1") $(grep -c '^     FAILED ' "$1") 0"; }
failures_demo() { tail -n 40 "$1"; }

# What the contract needs beside a hypervisor.
contract() {
  export COFFERDAM_HELPER=$COFFERDAM_CACHE/bin/node-helper COFFERDAM_IMAGE
  COFFERDAM_IMAGE=$(cat "$CACHE_STAMPS/image.out")
  cd "$COFFERDAM_ROOT"
  mvn -B -ntp -q -pl node-agent -am test-compile dependency:build-classpath -Dmdep.outputFile=target/test-classpath -Dmdep.includeScope=test || return 1
  testkit/nested/run.sh "$1"
}
count_contract() { echo "$(grep -cE '^(--- )?PASS[: ].' "$1") $(grep -cE '^(--- )?FAIL[: ].' "$1") $(grep -c '^SKIP ' "$1")"; }
failures_contract() { grep -A12 -E '^(--- )?FAIL[: ].' "$1" || tail -n 40 "$1"; }

run_qemu() { contract qemu; }
count_qemu() { count_contract "$1"; }
failures_qemu() { failures_contract "$1"; }

run_cloud-hypervisor() {
  local status=0
  export COFFERDAM_CLOUD_HYPERVISOR=$cloud_hypervisor
  cd "$COFFERDAM_ROOT/node-helper"
  # The jail, for which no guest need run.
  if [ -c /dev/kvm ]; then GOFLAGS="-trimpath -buildvcs=false -tags=grpcnotrace,cloudhypervisor" go test -v -run CloudHypervisor ./roottest || status=1; fi
  contract cloud-hypervisor || status=1
  return $status
}
count_cloud-hypervisor() { count_contract "$1"; }
failures_cloud-hypervisor() { failures_contract "$1"; }

cloud_hypervisor=${COFFERDAM_CLOUD_HYPERVISOR:-$(command -v cloud-hypervisor || true)}
find_jdk
find_maven
find_go
begin_all=$(date +%s%N)
echo "provision"
"$COFFERDAM_ROOT/deploy/provision/provision.sh"
export PATH=$COFFERDAM_CACHE/tools/bin:$PATH
work=$(mktemp -d)
declare -A PARTS=()
mkdir -p "$CACHE_LOG"
end_all() {
  local pid
  for pid in "${PARTS[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
  rm -rf "$work"
}
trap end_all EXIT
echo "tests"
part proto run_proto
# They wait for disks and timers more than for the processor.
begin_part go run_go
begin_part java run_java
end_part go
end_part java
part qemu run_qemu
if [ -n "$cloud_hypervisor" ]; then
  part cloud-hypervisor run_cloud-hypervisor
elif wanted cloud-hypervisor; then
  echo "  SKIPPED: CLOUD HYPERVISOR. No binary in PATH nor named by COFFERDAM_CLOUD_HYPERVISOR: its driver was held to recordings alone"
  skipped=$((skipped + 1))
fi
part e2e run_e2e
part demo run_demo
printf 'all in %s, %d skipped\n%d passed, %d failed\n' "$(elapsed "$begin_all")" "$skipped" "$passed" "$failed"
[ "$failed" = 0 ]
