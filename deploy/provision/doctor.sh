#!/usr/bin/env bash
# What this machine has and lacks, which hypervisor driver will be used and why. Needs nothing built and changes nothing; where provision has
# made an image, a guest is booted from it. COFFERDAM_BOOT_SECONDS is how long that may take on Cloud Hypervisor: 20 otherwise.
# Exit 0 when the mesh can run here, now or after the launcher has installed what it can.
set -euo pipefail
. "$COFFERDAM_ROOT/deploy/provision/lib.sh"
. "$COFFERDAM_ROOT/deploy/provision/boots.sh"
export PATH=$PATH:/usr/sbin:/sbin

blocked=0
row() { printf '  %-8s %-22s %s\n' "$1" "$2" "$3"; }
has() { row ok "$1" "$2"; }
later() { row install "$1" "$2"; }
note() { row note "$1" "$2"; }
lacks() {
  row LACKS "$1" "$2"
  blocked=$((blocked + 1))
}

system() {
  local name
  name=$(. /etc/os-release 2>/dev/null && echo "$PRETTY_NAME") || name=unknown
  case $name in Debian*) has system "$name, kernel $(uname -r)" ;; *) lacks system "$name: packages can only be installed on Debian 12" ;; esac
  [ "$(uname -m)" = x86_64 ] && has processor "x86_64, $(nproc) cores" || lacks processor "$(uname -m), expected x86_64"
  [ "$(id -u)" = 0 ] && has root "yes" || lacks root "run it with sudo: namespaces, users and packages need root"
}

builders() {
  if (find_jdk) 2>/dev/null; then
    find_jdk
    has JDK "$(jdk_release "$JAVA_HOME") in $JAVA_HOME"
  else
    lacks JDK "none of release 25 or newer in JAVA_HOME, PATH or /usr/lib/jvm"
  fi
  command -v mvn >/dev/null && has Maven "$(command -v mvn)" || lacks Maven "apt-get install maven"
  if (find_go) 2>/dev/null; then
    find_go
    has Go "$(go env GOVERSION) in $(command -v go)"
  else
    lacks Go "none in PATH, /usr/local/go or /usr/lib/go-*"
  fi
}

programs() {
  local name package
  for name in qemu-system-x86_64:qemu-system-x86 nft:nftables ip:iproute2 setpriv:util-linux bwrap:bubblewrap mmdebstrap:mmdebstrap \
    mkfs.erofs:erofs-utils sqfstar:squashfs-tools mkfs.ext4:e2fsprogs modprobe:kmod cpio:cpio xz:xz-utils; do
    package=${name#*:} name=${name%%:*}
    if command -v "$name" >/dev/null; then has "$name" "$(command -v "$name")"; else later "$name" "by provision, package $package"; fi
  done
  local postgres
  postgres=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1 || true)
  has PostgreSQL "${postgres:-none of Debian: the launcher brings its own}"
}

# Tried in a namespace of its own, because that is what counts: a kernel's config says nothing of what a container may do.
kernel_features() {
  if [ "$(id -u)" != 0 ]; then
    note "kernel features" "cannot be tried without root"
    return
  fi
  local probe=/bin/true
  if unshare --net --mount --pid --fork $probe 2>/dev/null; then has namespaces "network, mount, pid"; else lacks namespaces "unshare is refused: a container needs more rights"; fi
  if unshare --user --map-root-user $probe 2>/dev/null; then has "user namespaces" "yes"; else note "user namespaces" "none: not needed, jails are made by root"; fi
  if ! command -v nft >/dev/null; then
    note "nft and TPROXY" "cannot be tried before nftables is there"
  elif unshare --net nft -f - 2>/dev/null <<<'table ip t { chain c { type filter hook prerouting priority mangle; meta l4proto tcp tproxy to 127.0.0.1:1 meta mark set 1; }; }
    table netdev d { }'; then
    has "nft and TPROXY" "yes"
  else
    lacks "nft and TPROXY" "the kernel refuses a rule with tproxy: CONFIG_NFT_TPROXY is needed"
  fi
  if unshare --net ip tuntap add mode tap name t0 2>/dev/null; then has "tap devices" "yes"; else lacks "tap devices" "/dev/net/tun is missing or refused"; fi
  if unshare --net ip link add name probe0 type veth peer name probe1 2>/dev/null; then has "veth devices" "yes"; else lacks "veth devices" "CONFIG_VETH is needed"; fi
  if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then has cgroups "version 2"
  elif [ -d /sys/fs/cgroup/memory ]; then has cgroups "version 1"
  else note cgroups "no memory controller: a VM is bounded by its own size only"; fi
}

space() {
  local memory disk where=$COFFERDAM_CACHE
  memory=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
  [ "$memory" -ge 3000 ] && has memory "$memory MiB available" || lacks memory "$memory MiB available: 3000 are needed for the build and a mesh"
  while [ ! -d "$where" ]; do where=$(dirname "$where"); done
  disk=$(df -m --output=avail "$where" | tail -n 1 | tr -d ' ')
  [ "$disk" -ge 5000 ] && has disk "$disk MiB free in $where" || lacks disk "$disk MiB free in $where: 5000 are needed"
}

# The newest image that provision has made, for a guest to boot from.
an_image() { find "$COFFERDAM_CACHE/images" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %p\n' 2>/dev/null | sort -rn | sed -n '1s/^[^ ]* //p'; }

# Device files and flags of the processor are told, and decide nothing: a guest has to come up.
hypervisor() {
  local flags image cloud ms
  flags=$(grep -m1 -oE '\b(vmx|svm)\b' /proc/cpuinfo || true)
  [ -n "$flags" ] && has "CPU virtualisation" "$flags" || note "CPU virtualisation" "none: neither vmx nor svm"
  if [ -c /dev/kvm ] && [ -r /dev/kvm ] && [ -w /dev/kvm ]; then has /dev/kvm "opens"; else note /dev/kvm "missing or not ours to open"; fi
  image=$(an_image)
  cloud=${COFFERDAM_CLOUD_HYPERVISOR:-$(command -v cloud-hypervisor || true)}
  if [ -z "$cloud" ]; then
    note "Cloud Hypervisor" "no binary in PATH nor named by COFFERDAM_CLOUD_HYPERVISOR"
  elif [ -z "$image" ]; then
    note "Cloud Hypervisor" "$cloud: no guest to boot before provision has made an image"
  elif ms=$(boots "$cloud" "$image" "${COFFERDAM_BOOT_SECONDS:-20}"); then
    has "Cloud Hypervisor" "booted a guest in $ms ms"
    printf '\n  driver: cloud-hypervisor (isolation=hardware)\n  why:    a guest booted on it\n'
    return
  else
    note "Cloud Hypervisor" "booted no guest within $ms ms"
  fi
  if ! command -v qemu-system-x86_64 >/dev/null; then
    later QEMU "by provision"
  elif [ -z "$image" ]; then
    note QEMU "no guest to boot before provision has made an image"
  elif ms=$(boots "$(command -v qemu-system-x86_64)" "$image" 120); then
    has QEMU "booted a guest in $ms ms, in software emulation"
  else
    lacks QEMU "booted no guest within $ms ms"
  fi
  printf '\n  driver: qemu, software emulation (isolation=emulated)\n'
  printf '  why:    no guest was booted on Cloud Hypervisor; emulation is the weaker boundary and is jailed the same way\n'
}

system
builders
programs
kernel_features
space
hypervisor
if [ $blocked -gt 0 ]; then
  printf '\n%d missing that the launcher cannot install\n' $blocked
  exit 1
fi
printf '\nthe mesh can run here\n'
