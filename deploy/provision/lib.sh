# Shared by the scripts of the launcher: finding tools, steps with progress, stamps. Sourced, never run.

CACHE_STAMPS=$COFFERDAM_CACHE/stamps
CACHE_LOG=$COFFERDAM_CACHE/log
# One machine may hold several checkouts; each remembers which build is its own.
CHECKOUT=$(printf %s "$COFFERDAM_ROOT" | sha256sum | cut -c1-12)

die() {
  printf 'cofferdam: %s\n' "$*" >&2
  exit 1
}

need_root() {
  [ "$(id -u)" = 0 ] || die "$1 needs root (namespaces, users, packages): run it with sudo"
}

# The feature release of the JDK at $1, or 0.
jdk_release() {
  [ -x "$1/bin/javac" ] && [ -r "$1/release" ] || { echo 0; return; }
  sed -n 's/^JAVA_VERSION="\([0-9]*\).*/\1/p' "$1/release" | grep . || echo 0
}

# Sets JAVA_HOME to a JDK 25 or newer: the caller's own, the one on PATH, the newest installed.
find_jdk() {
  local candidate best="" best_release=24 release
  if [ -n "${JAVA_HOME:-}" ] && [ "$(jdk_release "$JAVA_HOME")" -ge 25 ]; then
    export JAVA_HOME
    return
  fi
  if candidate=$(command -v javac); then
    candidate=$(dirname "$(dirname "$(readlink -f "$candidate")")")
    if [ "$(jdk_release "$candidate")" -ge 25 ]; then
      export JAVA_HOME=$candidate
      return
    fi
  fi
  for candidate in /usr/lib/jvm/*; do
    [ -L "$candidate" ] && continue
    release=$(jdk_release "$candidate")
    if [ "$release" -gt "$best_release" ]; then
      best=$candidate best_release=$release
    fi
  done
  [ -n "$best" ] || die "no JDK 25 or newer in JAVA_HOME, PATH or /usr/lib/jvm: install one (a full JDK, with javac) and run again"
  export JAVA_HOME=$best
}

find_maven() {
  command -v mvn >/dev/null || die "Maven is missing: apt-get install maven"
}

# Puts the first Go that is new enough for the modules into PATH. One set of flags for all that is built and tested with it, as
# guest-agent/build.sh has them: so no package is compiled twice.
find_go() {
  local dir needed found=""
  needed=$(awk '$1 == "go" { print $2 }' "$COFFERDAM_ROOT"/*/go.mod "$COFFERDAM_ROOT"/testkit/*/go.mod | sort -V | tail -n 1)
  for dir in "$(dirname "$(command -v go || echo /usr/local/go/bin/go)")" /usr/local/go/bin /usr/lib/go/bin /usr/lib/go-*/bin; do
    [ -x "$dir/go" ] || continue
    # Its own version, not one that it would like to download for this module.
    found=$(cd / && GOTOOLCHAIN=local "$dir/go" env GOVERSION)
    if printf '%s\n' "$needed" "${found#go}" | sort -V -C; then
      export PATH=$dir:$PATH CGO_ENABLED=0 GOFLAGS="-trimpath -buildvcs=false -tags=grpcnotrace"
      return
    fi
  done
  die "Go ${needed%.*} or newer is missing in PATH, /usr/local/go and /usr/lib/go-*${found:+ (found: $found)}: install it and run again"
}

# Where this checkout's jars are staged; fails when they never were.
staged() {
  cat "$COFFERDAM_CACHE/lib/$CHECKOUT.current" 2>/dev/null
}

# A digest of the named files and folders (relative to the checkout) without what builds leave in them.
digest() {
  (cd "$COFFERDAM_ROOT" && find "$@" -type d \( -name target -o -name gen -o -name __pycache__ -o -name bin \) -prune -o -type f -print0 2>/dev/null \
    | LC_ALL=C sort -z | xargs -0 -r sha256sum) | sha256sum | cut -c1-16
}

fresh() {
  [ "$(cat "$CACHE_STAMPS/$1" 2>/dev/null)" = "$2" ]
}

stamp() {
  mkdir -p "$CACHE_STAMPS"
  printf '%s\n' "$2" >"$CACHE_STAMPS/$1"
}

elapsed() {
  local ms=$((($(date +%s%N) - $1) / 1000000))
  printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# step TITLE LOG COMMAND...: runs it with its output in the log, tells how long it takes, and on failure shows the log's end.
step() {
  local title=$1 log=$2
  shift 2
  begin_step "$log" "$@"
  end_step "$title" "$log"
}

declare -A STEP_PID=() STEP_BEGIN=()

# begin_step LOG COMMAND...: a step that goes on beside what follows, until end_step TITLE LOG waits for it.
begin_step() {
  local log=$1
  shift
  mkdir -p "$CACHE_LOG"
  STEP_BEGIN[$log]=$(date +%s%N)
  # In a process group of its own, so that abandon_steps can end it with all that it started.
  set -m
  "$@" >"$CACHE_LOG/$log.log" 2>&1 </dev/null &
  STEP_PID[$log]=$!
  set +m
}

# For a trap on EXIT: ends the steps that nobody waits for any more.
abandon_steps() {
  local pid
  for pid in "${STEP_PID[@]}"; do kill -- "-$pid" 2>/dev/null || true; done
}

end_step() {
  local title=$1 log=$CACHE_LOG/$2.log begin=${STEP_BEGIN[$2]} pid=${STEP_PID[$2]} status=0
  [ -t 1 ] || printf '  %-58s ' "$title"
  while [ -t 1 ] && kill -0 "$pid" 2>/dev/null; do
    printf '\r  %-58s %s ' "$title" "$(elapsed "$begin")"
    sleep 0.5
  done
  wait "$pid" || status=$?
  unset "STEP_PID[$2]"
  if [ $status != 0 ]; then
    outcome "$title" "FAILED after $(elapsed "$begin")"
    tail -n 25 "$log" | sed 's/^/    | /' >&2
    die "$title: exit code $status; the whole log is $log"
  fi
  outcome "$title" "$(elapsed "$begin")"
}

# Ends a step's line; on a terminal it was redrawn meanwhile.
outcome() {
  if [ -t 1 ]; then printf '\r  %-58s %s\n' "$1" "$2"; else printf '%s\n' "$2"; fi
}
