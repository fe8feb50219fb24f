# Whether a hypervisor boots a guest: nothing else proves it. Sourced by the doctor and by the tests.

# boots PROGRAM IMAGE SECONDS...: boots the image's kernel on it, up to the guest's first own process; says how many ms that took.
boots() {
  local program=$1 image=$2 seconds=$3 begin append='console=ttyS0 panic=-1 reboot=t tsc=reliable' command
  begin=$(date +%s%N)
  case ${program##*/} in
    qemu-system-*)
      command=("$program" -nodefaults -no-user-config -nographic -no-reboot -machine pc,graphics=off -accel tcg -cpu max,la57=off,erms=off,fsrm=off,smap=off,pku=off -m 256
        -kernel "$image/vmlinuz" -initrd "$image/initrd" -append "$append" -serial stdio)
      ;;
    *)
      command=("$program" --kernel "$image/vmlinuz" --initramfs "$image/initrd" --memory size=256M --cmdline "$append" --serial tty --console off --seccomp true)
      ;;
  esac
  # What it says is read up to the line; then it has nobody to talk to, and its time is over.
  grep -qm1 'Run /init as init process' < <(timeout --foreground -k 1 "$seconds" "${command[@]}" </dev/null 2>/dev/null & echo $! >"${TMPDIR:-/tmp}/boots.$$"; wait)
  local status=$?
  kill "$(cat "${TMPDIR:-/tmp}/boots.$$")" 2>/dev/null || true
  rm -f "${TMPDIR:-/tmp}/boots.$$"
  echo $((($(date +%s%N) - begin) / 1000000))
  return $status
}
