#!/usr/bin/env bash
# The fuzzer, Jazzer, on each parser of ours: every class *Fuzz of a module's tests, with so many inputs or for so long each.
#
#   testkit/fuzz.sh RUNS [NAME]     NAME without "Fuzz"; all without one
#   testkit/fuzz.sh 60s [NAME]      for so many seconds each
#
# Seeds lie in src/test/resources/fuzz/NAME of the module, where an input that was found is to be kept: the module's own
# tests run them each time. What is found here is left in the module's target/fuzz. Needs the modules built.
set -euo pipefail

ROOT=$(dirname "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")")
export COFFERDAM_ROOT=$ROOT
export COFFERDAM_CACHE=${COFFERDAM_CACHE:-/var/cache/cofferdam}
# shellcheck source=deploy/provision/lib.sh
. "$ROOT/deploy/provision/lib.sh"
VERSION=0.30.0
JARS=$ROOT/testkit/target/jazzer
case ${1:?how many inputs, or for how many seconds} in
  *s) bound=-max_total_time=${1%s} ;;
  *) bound=-runs=$1 ;;
esac
only=${2:-}

find_jdk
find_maven
cd "$ROOT"
for artifact in jazzer jazzer-api; do
  [ -f "$JARS/$artifact-$VERSION.jar" ] \
    || mvn -B -ntp -q -N dependency:copy "-Dartifact=com.code-intelligence:$artifact:$VERSION" "-DoutputDirectory=$JARS"
done
status=0
for module in service-kit egress-gateway vault-broker; do
  mvn -B -ntp -q -pl "$module" -am test-compile dependency:build-classpath -Dmdep.outputFile=target/test-classpath -Dmdep.includeScope=test
  while read -r source; do
    class=${source#"$module/src/test/java/"}
    class=${class%.java}
    name=$(basename "$class" Fuzz)
    if [ -n "$only" ] && [ "$name" != "$only" ]; then continue; fi
    found=$module/target/fuzz/$name
    seeds=$module/src/test/resources/fuzz/$name
    mkdir -p "$found/corpus"
    # Its sanitizer of Unsafe does not run on Java 25, and finds nothing in parsers of ours.
    if "$JAVA_HOME/bin/java" -XX:+EnableDynamicAgentLoading --enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow -Xmx1g \
      -cp "$JARS/*:$module/target/test-classes:$module/target/classes:$(cat "$module/target/test-classpath")" \
      com.code_intelligence.jazzer.Jazzer "--target_class=${class//\//.}" '--instrumentation_includes=dev.cofferdam.**' \
      '--disabled_hooks=com.code_intelligence.jazzer.sanitizers.UnsafeSanitizer' "--reproducer_path=$found" "-artifact_prefix=$found/" \
      -max_len=4096 "$bound" "$found/corpus" "$seeds" >"$found/log" 2>&1; then
      echo "PASS $name: $(grep -E '^#[0-9]+[[:space:]]+DONE' "$found/log")"
    else
      echo "FAIL $name: see $found/log"
      tail -n 30 "$found/log"
      status=1
    fi
  done < <(find "$module/src/test/java" -name '*Fuzz.java' | sort)
done
exit $status
