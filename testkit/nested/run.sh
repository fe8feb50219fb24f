#!/usr/bin/env bash
# The hypervisor contract against the real thing, in node-helper's jail, with real guests.
#
#   run.sh qemu               needs COFFERDAM_IMAGE (an image's directory), COFFERDAM_HELPER, a built node-agent with its tests, JAVA_HOME
#   run.sh cloud-hypervisor   needs also COFFERDAM_CLOUD_HYPERVISOR (a binary), QEMU, erofs-utils, busybox-static
#
# QEMU emulates, and so does it here, as root. Cloud Hypervisor's suite runs here where the doctor says that a guest boots on it. Elsewhere an
# outer machine, whose processor QEMU emulates with SVM, boots once for the whole suite, and here it is shown what a node does without. Prints a
# line for each test, "PASS name", "FAIL name" or "SKIP name".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
driver=${1:?expected qemu or cloud-hypervisor}
[ "$driver" = qemu ] || : "${COFFERDAM_CLOUD_HYPERVISOR:?names no binary}"
: "${COFFERDAM_IMAGE:?names no image}" "${COFFERDAM_HELPER:?names no node-helper}" "${JAVA_HOME:?}"
export PATH=$PATH:/usr/sbin:/sbin
kernel=${COFFERDAM_CACHE:-/var/cache/cofferdam}/kernel/$(sed -n 's/.*"kernel": "\(.*\)".*/\1/p' "$COFFERDAM_IMAGE/manifest.json")
# The outer machine's is the newest that is here (testkit/run.sh fetches a second one): Debian's own is older than the Landlock that Cloud Hypervisor wants.
outer_kernel=$(printf '%s\n' "${kernel%/*}"/*/release | sort -V | tail -n 1)
outer_kernel=${outer_kernel%/release}
release=$(cat "$outer_kernel/release")
work=$(mktemp -d)
chmod 0755 "$work"
# The machine itself, if it is still there, and all that it was made of.
trap 'kill "${qemu:-}" 2>/dev/null || true; rm -rf "$work"' EXIT
suite=$work/suite

modules() {
  local module
  for module in "$@"; do modprobe -d "$outer_kernel" -S "$release" --show-depends "$module"; done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# What a program of this machine needs beside itself, for a file system that may lack it.
with_libraries() {
  local file
  for file in "$@" $(ldd "$@" | awk '$2 == "=>" { print $3 }' | sort -u); do
    file=$(readlink -f "$(dirname "$file")")/$(basename "$file")
    install -D -m 0755 "$file" "$suite/overlay$file"
  done
}

files() {
  mkdir -p "$suite"/{classes,lib,images/0123456789abcdef,deploy/provision,overlay/usr/lib/modules,overlay/usr/sbin}
  "$JAVA_HOME/bin/jlink" --add-modules java.base,java.logging,java.management,java.naming,java.security.jgss,java.sql,java.xml,jdk.net,jdk.unsupported,jdk.management \
    --strip-debug --no-man-pages --no-header-files --output "$suite/jre"
  "$suite/jre/bin/java" -Xshare:dump -XX:+UseSerialGC >/dev/null
  cp "$here/inside" "$suite/inside"
  [ -z "${COFFERDAM_RECORD:-}" ] || cp "$here/record.py" "$suite/record.py"
  install -m 0755 "$COFFERDAM_HELPER" "$suite/node-helper"
  [ "$driver" = qemu ] || install -m 0755 "$(readlink -f "$COFFERDAM_CLOUD_HYPERVISOR")" "$suite/cloud-hypervisor"
  cp "$root"/deploy/provision/{doctor,lib,boots}.sh "$suite/deploy/provision/"
  cp "$COFFERDAM_IMAGE"/{vmlinuz,initrd,rootfs.erofs,manifest.json} "$suite/images/0123456789abcdef/"
  # The image's own is as large as sandboxes' are, and this one is sent around.
  truncate -s 64M "$suite/images/0123456789abcdef/disk.ext4"
  mkfs.ext4 -q -F -m 0 -O '^has_journal' "$suite/images/0123456789abcdef/disk.ext4"
  [ -z "${COFFERDAM_RECORD:-}" ] || return 0
  local entry
  for entry in $(tr : ' ' <"$root/node-agent/target/test-classpath"); do
    if [ -d "$entry" ]; then "$JAVA_HOME/bin/jar" --create --no-compress --file "$suite/classes/$(basename "$(dirname "$(dirname "$entry")")").jar" -C "$entry" .; else cp "$entry" "$suite/lib/"; fi
  done
  "$JAVA_HOME/bin/jar" --create --no-compress --file "$suite/classes/node-agent.jar" -C "$root/node-agent/target/classes" .
  "$JAVA_HOME/bin/jar" --create --no-compress --file "$suite/classes/node-agent-tests.jar" -C "$root/node-agent/target/test-classes" .
}

outer() {
  local number=0 file target
  cp -r "$outer_kernel/lib/modules/$release" "$suite/overlay/usr/lib/modules/"
  # Newer kernels' are packed, and busybox takes them as they are.
  find "$suite/overlay/usr/lib/modules" -name '*.ko.xz' -exec unxz {} +
  mkdir -p "$work/depmod/lib"
  ln -s "$suite/overlay/usr/lib/modules" "$work/depmod/lib/modules"
  depmod -b "$work/depmod" "$release"
  with_libraries /usr/sbin/nft /usr/sbin/mke2fs
  ln -s mke2fs "$suite/overlay/usr/sbin/mkfs.ext4"
  install -m 0755 /bin/busybox "$suite/overlay/usr/sbin/busybox"
  ln -s busybox "$suite/overlay/usr/sbin/modprobe"
  mkfs.erofs --quiet "$work/suite.erofs" "$suite" >/dev/null 2>&1 || mkfs.erofs "$work/suite.erofs" "$suite" >/dev/null
  mkdir -p "$work/tree"/{bin,dev,proc,sys,mod}
  install -m 0755 /bin/busybox "$work/tree/bin/busybox"
  install -m 0755 "$here/init" "$work/tree/init"
  while read -r file; do
    target=$(printf '%s/tree/mod/%02d-%s' "$work" $number "$(basename "${file%.xz}")")
    case $file in *.xz) xz -dc "$file" >"$target" ;; *) install -m 0644 "$file" "$target" ;; esac
    number=$((number + 1))
  done < <(modules virtio_pci virtio_blk erofs overlay loop)
  (cd "$work/tree" && find . -mindepth 1 | cpio --quiet -o -H newc) | gzip -1 >"$work/initrd"
  # "rep movsb" is fast on processors that say so, and emulated byte by byte: without the two flags kernels copy memory by words. With a second
  # processor the machine is slower, and has stood still for good.
  timeout 1200 qemu-system-x86_64 -nodefaults -no-user-config -nographic -no-reboot -machine pc,graphics=off -accel tcg,thread=multi,tb-size=512 -cpu max,la57=off,erms=off,fsrm=off,smap=off,pku=off -smp 1 -m 5120 \
    -kernel "$outer_kernel/vmlinuz" -initrd "$work/initrd" -append 'console=ttyS0 loglevel=4 panic=-1 mitigations=off norandmaps tsc=reliable random.trust_cpu=on' \
    -drive "if=none,id=suite,file=$work/suite.erofs,format=raw,readonly=on" -device virtio-blk-pci,drive=suite -serial "file:$work/console" &
  qemu=$!
  tail -n +1 -f --pid=$qemu "$work/console" --retry 2>/dev/null | sed -u 's/\r//' &
  wait $qemu
  wait
  cp "$work/console" "$root/testkit/target/nested.log" 2>/dev/null || true
  grep -q '^SUITE ended with 0' "$work/console"
}

[ -n "${COFFERDAM_RECORD:-}" ] || [ -f "$root/node-agent/target/test-classpath" ] || { echo "build node-agent's tests first: mvn -pl node-agent -am test-compile"; exit 1; }
mkdir -p "$root/testkit/target"
if [ "$driver" = qemu ]; then
  files
  SUITE=$suite DRIVER=qemu "$suite/inside"
  exit
fi
# It tries while the files are made.
"$root/cofferdam" doctor >"$work/doctor" 2>&1 &
files
wait $! || true
if [ -n "${COFFERDAM_RECORD:-}" ]; then
  outer
elif grep -q '^  driver: cloud-hypervisor' "$work/doctor"; then
  echo "on this machine's KVM"
  SUITE=$suite "$suite/inside"
else
  echo "in an outer machine: KVM boots no guest here"
  status=0
  grep -q '^  driver: qemu' "$work/doctor" && echo "PASS the doctor names QEMU here" || { echo "FAIL the doctor names no driver" && cat "$work/doctor" && status=1; }
  SUITE=$suite DRIVER=refused "$suite/inside" || status=1
  outer || status=1
  exit $status
fi
