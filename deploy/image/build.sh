#!/bin/bash
# Builds what a guest boots from: kernel, initramfs with the agent, Debian root file system, empty disk.
#
#   build.sh [--agent FILE] [--disk-mib N]
#   build.sh --base                           only what needs no agent, for a later run to find: kernel and file system
#   build.sh --kernel PACKAGE --into DIR      a kernel of Debian's that templates may choose: DIR/PACKAGE and DIR/PACKAGE.modules
#
# Prints the image's directory as its last line; its name is a digest of what it holds. Needs root and Debian 12. Every
# piece is kept in the cache (COFFERDAM_CACHE, default /var/cache/cofferdam) under a digest of what made it, so a second
# run takes about a second. Packages come from where the machine's own apt gets them.
#
# An image's directory:
#   vmlinuz        Debian's cloud kernel, never installed on the machine
#   initrd         the agent as /init, and the modules that it loads in the order of their names
#   rootfs.erofs   the root file system, read-only, shared by all sandboxes; first disk of the VM
#   disk.ext4      an empty disk, sparse; a sandbox's copy of it holds all that it writes; second disk of the VM
#   manifest.json  digests, versions, the kernel's command line, the warm-up that pays before a snapshot
set -euo pipefail
shopt -s inherit_errexit
export PATH=$PATH:/usr/sbin:/sbin LC_ALL=C
umask 022 # The cache is read by other users, and the guest's files are packed as they are made.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/image/contents.sh
. "$here/contents.sh"
cache=$(realpath -m "${COFFERDAM_CACHE:-/var/cache/cofferdam}")
agent='' disk_mib=2048 only_base='' chosen='' into=''

fail() { echo "build.sh: $*" >&2; exit 1; }
started=$SECONDS
say() { printf '  %4d s  %s\n' $((SECONDS - started)) "$*" >&2; }
digest() { sha256sum "$@" | cut -c1-64; }
# A key for a piece: the digest of everything that decides it.
key() { printf '%s\n' "$@" | digest | cut -c1-32; }

while [ $# -gt 0 ]; do
  case $1 in
    --agent) agent=${2:?--agent needs a file}; shift 2 ;;
    --base) only_base=yes; shift ;;
    --kernel) chosen=${2:?--kernel needs a package}; shift 2 ;;
    --into) into=${2:?--into needs a directory}; shift 2 ;;
    --disk-mib) disk_mib=${2:?--disk-mib needs a number}; shift 2 ;;
    *) fail "unknown argument $1; usage: build.sh [--agent FILE] [--disk-mib N] | --base | --kernel PACKAGE --into DIR" ;;
  esac
done
[[ $disk_mib =~ ^[0-9]+$ && $disk_mib -ge 64 ]] || fail "--disk-mib $disk_mib: expected a number of at least 64"
[[ $chosen =~ ^(linux-image-[a-z0-9.+-]+)?$ ]] || fail "--kernel $chosen: expected a package linux-image-..."
[ -z "$chosen" ] || [ -d "$into" ] || fail "--into ${into:-is missing}: expected a directory"
[ "$(id -u)" = 0 ] || fail "needs root, to make a root file system with the right owners"
missing=()
for tool in mmdebstrap:mmdebstrap mkfs.erofs:erofs-utils mkfs.ext4:e2fsprogs modprobe:kmod cpio:cpio flock:util-linux; do
  command -v "${tool%%:*}" >/dev/null || missing+=("${tool##*:}")
done
[ ${#missing[@]} -eq 0 ] || fail "missing: ${missing[*]}; apt-get install ${missing[*]}"

mkdir -p "$cache"/{base,kernel,initrd,images}
exec 9>"$cache/.image-lock"
flock -n 9 || { say "another build is running: waiting for it"; flock 9; }
# Everything is made here and then renamed, so that a piece is complete or absent. What a killed build left goes first.
rm -rf "$cache"/tmp.*
work=$(mktemp -d "$cache/tmp.XXXXXX")
trap 'rm -rf "$work"' EXIT

# shellcheck source=deploy/image/base.sh
. "$here/base.sh"
# shellcheck source=deploy/image/kernel.sh
. "$here/kernel.sh"

kernel_piece
if [ -n "$chosen" ]; then
  kernel_to_choose
  exit 0
fi
base_piece
[ -z "$only_base" ] || exit 0

if [ -z "$agent" ]; then
  say "guest agent"
  agent=$work/guest-agent
  "$here/../../guest-agent/build.sh" "$agent" >&2
fi
[ -f "$agent" ] || fail "no agent at $agent"

initrd_piece

image_digest=$(key "$(cat "$base/rootfs.sha256")" "$(digest "$kernel/vmlinuz")" "$(digest "$initrd/initrd")" "$disk_mib" "$cmdline" "${warm_up[@]}")
image=$cache/images/$image_digest
if [ ! -d "$image" ]; then
  say "image $image_digest"
  made=$work/image
  mkdir "$made"
  ln "$base/rootfs.erofs" "$kernel/vmlinuz" "$initrd/initrd" "$made"
  # No journal: the disk lives and dies with its VM's memory. Its tables are zero already, a sparse file reads so.
  truncate -s "${disk_mib}M" "$made/disk.ext4"
  mkfs.ext4 -q -F -m 0 -O '^has_journal' -E assume_storage_prezeroed=1,nodiscard,root_owner=0:0 -L sandbox "$made/disk.ext4"
  manifest >"$made/manifest.json"
  chmod 0444 "$made"/*
  chmod 0755 "$made"
  mv -T "$made" "$image"
fi
say "image ready"
echo "$image"
