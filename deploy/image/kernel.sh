# The kernel and the initramfs. Sourced by build.sh.

# The package that the meta package stands for today.
kernel_package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | awk '/Depends: linux-image-/ { print $2; exit }'; }

kernel_piece() {
  local package version
  package=${chosen:-$(kernel_package)}
  if [ -z "$package" ]; then
    apt-get update -qq >&2 || true
    package=$(kernel_package)
  fi
  [ -n "$package" ] || fail "apt of this machine knows no linux-image-cloud-amd64; run apt-get update"
  version=$(apt-cache show --no-all-versions "$package" | awk '/^Version:/ { print $2; exit }')
  kernel=$cache/kernel/${package}_$version
  [ ! -d "$kernel" ] || { say "kernel: cached"; return; }
  say "kernel: $package $version"
  mkdir "$work/deb" "$work/kernel"
  # apt downloads as a user of its own where it can.
  chown _apt "$work/deb" && chmod 0711 "$work"
  (cd "$work/deb" && apt-get -qq download "$package=$version" >&2)
  dpkg-deb -x "$work"/deb/*.deb "$work/deb/tree"
  mv "$work"/deb/tree/boot/vmlinuz-* "$work/kernel/vmlinuz"
  mkdir "$work/kernel/lib"
  mv "$work/deb/tree/lib/modules" "$work/kernel/lib/modules"
  ls "$work/kernel/lib/modules" >"$work/kernel/release"
  depmod -b "$work/kernel" "$(cat "$work/kernel/release")"
  rm -rf "$work/deb"
  chmod 0755 "$work/kernel"
  chmod 0444 "$work/kernel/vmlinuz"
  mv -T "$work/kernel" "$kernel"
}

# Files of the modules and of what they need, in the order in which they load. What is built in is not listed.
module_files() {
  local module
  for module in "${modules[@]}"; do
    modprobe -d "$kernel" -S "$(cat "$kernel/release")" --show-depends "$module" || fail "the kernel has no module $module"
  done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# The modules of the kernel, as the agent loads them: in the order of their names.
put_modules() {
  local into=$1 number=0 file target
  mkdir -p "$into"
  module_files >"$work/module-files"
  while read -r file; do
    target=$(printf '%s/%02d-%s' "$into" $number "$(basename "${file%.xz}")")
    case $file in
      *.xz) xz -dc "$file" >"$target" && chmod 0644 "$target" ;;
      *) install -m 0644 "$file" "$target" ;;
    esac
    number=$((number + 1))
  done <"$work/module-files"
}

# The same input gives the same bytes: no times, no order of the directory's, no inode numbers.
pack() {
  find "$1" -exec touch -h -d @0 {} +
  (cd "$1" && find . -mindepth 1 | sort | cpio --quiet --reproducible -R 0:0 -o -H newc)
}

kernel_to_choose() {
  put_modules "$work/chosen/mod"
  pack "$work/chosen" >"$work/chosen.modules"
  install -m 0644 "$work/chosen.modules" "$into/$chosen.modules"
  install -m 0644 "$kernel/vmlinuz" "$into/$chosen"
  say "$into/$chosen: $(cat "$kernel/release")"
}

initrd_piece() {
  local name
  name=$(key "$(digest "$agent")" "${kernel##*/}" "${modules[@]}" "$(cat "$here/kernel.sh")")
  initrd=$cache/initrd/$name
  [ ! -d "$initrd" ] || { say "initramfs: cached"; return; }
  say "initramfs"
  mkdir -p "$work/tree" "$work/initrd"
  install -m 0755 "$agent" "$work/tree/init"
  put_modules "$work/tree/mod"
  pack "$work/tree" | gzip -1n >"$work/initrd/initrd"
  chmod 0444 "$work/initrd/initrd"
  chmod 0755 "$work/initrd"
  rm -rf "$work/tree"
  mv -T "$work/initrd" "$initrd"
}

json_list() {
  local separator='' item
  for item in "$@"; do
    item=${item//\\/\\\\}
    printf '%s"%s"' "$separator" "${item//\"/\\\"}"
    separator=', '
  done
}

manifest() {
  cat <<JSON
{
  "digest": "$image_digest",
  "suite": "$suite",
  "kernel": "${kernel##*/}",
  "cmdline": "$cmdline",
  "memory_mib": 512,
  "disk_mib": $disk_mib,
  "warm_up": [$(json_list "${warm_up[@]}")],
  "sha256": {
    "vmlinuz": "$(digest "$kernel/vmlinuz")",
    "initrd": "$(digest "$initrd/initrd")",
    "rootfs.erofs": "$(cat "$base/rootfs.sha256")"
  }
}
JSON
}
