# The root file system: a minimal Debian with the packages of contents.sh. Sourced by build.sh.

# Lines of sources.list(5) for Debian's own archives as this machine is configured to reach them. Other vendors'
# archives stay out: an image must not depend on what else somebody installed.
debian_sources() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg options=''
  [ ! -f $keyring ] || options="[signed-by=$keyring] "
  apt-get indextargets --format "deb ${options}\$(REPO_URI) \$(RELEASE) \$(COMPONENT)" 'Created-By: Packages' 'Origin: Debian' 2>/dev/null |
    awk -v suite=$suite '{ r = $(NF-1); sub("/.*", "", r); if (r == suite || r == suite "-updates" || r == suite "-security") print }' | sort -u
}

base_piece() {
  local name
  name=$(key "$suite" "${packages[@]}" "$(cat "$here/base.sh")")
  base=$cache/base/$name
  [ ! -d "$base" ] || { say "Debian base: cached"; return; }
  say "Debian base: packages (once per machine, about a minute)"
  debian_sources >"$work/sources"
  if [ ! -s "$work/sources" ]; then
    apt-get update -qq >&2 || true
    debian_sources >"$work/sources"
  fi
  [ -s "$work/sources" ] || fail "apt of this machine knows no archive of Debian $suite; add it to /etc/apt/sources.list and run apt-get update"
  # How the machine reaches its archives; removed from the image again.
  apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https Acquire::ftp Acquire::Retries >"$work/apt.conf"
  local include
  include=$(IFS=,; echo "${packages[*]}")
  mmdebstrap --quiet --mode=root --variant=minbase --format=directory \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --aptopt="$work/apt.conf" \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/lintian/*' \
    --include="$include" \
    --customize-hook='rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap' \
    --customize-hook='rm -f "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/machine-id "$1"/var/lib/dbus/machine-id' \
    --customize-hook='find "$1"/var/log "$1"/var/cache/apt "$1"/var/cache/debconf -type f -delete' \
    $suite "$work/root" "$work/sources" >&2
  say "Debian base: file system"
  mkdir "$work/base"
  # Not compressed: the host caches it once for all guests, and an emulated processor is slow at unpacking.
  # Times are kept, as Python's compiled files are only used while they match.
  mkfs.erofs --quiet --preserve-mtime "$work/base/rootfs.erofs" "$work/root" >&2
  digest "$work/base/rootfs.erofs" >"$work/base/rootfs.sha256"
  rm -rf "$work/root"
  chmod 0444 "$work/base"/*
  chmod 0755 "$work/base"
  mv -T "$work/base" "$base"
}
