#!/usr/bin/env bash
# The load tests against a mesh of their own, in a stage with the test upstream:
#
#   loadtest/run.sh create [--creates 50] [--parallel 1] [--json FILE]
#   loadtest/run.sh https [--rates 200,500,1000] [--rounds 5] [--seconds 3] [--json FILE]
#
# Needs root. See loadtest/README.md for what each number means.
set -euo pipefail
ROOT=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
export COFFERDAM_ROOT=$ROOT COFFERDAM_CACHE=${COFFERDAM_CACHE:-/var/cache/cofferdam}
# shellcheck source=deploy/provision/lib.sh
. "$ROOT/deploy/provision/lib.sh"
[ $# -gt 0 ] || die "which workload? loadtest/run.sh create|https [OPTIONS]"
need_root "the load tests"
find_jdk
find_maven

build() {
  cd "$ROOT"
  mvn -B -ntp -q -pl loadtest -am package dependency:copy-dependencies -Dmaven.test.skip=true -Dspotless.check.skip=true \
    -DincludeScope=runtime -DoutputDirectory=target/lib
}

step "load tests (Maven)" loadtest build
COFFERDAM_MESH=${COFFERDAM_MESH:-load} exec "$ROOT/testkit/run.sh" --with "$JAVA_HOME/bin/java" --enable-native-access=ALL-UNNAMED \
  --sun-misc-unsafe-memory-access=allow -Xmx256m -cp "$ROOT/loadtest/target/loadtest-0.1.0-SNAPSHOT.jar:$ROOT/loadtest/target/lib/*" \
  dev.cofferdam.loadtest.Main "$@"
