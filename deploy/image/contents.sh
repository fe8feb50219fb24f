# What is in the image. Sourced by build.sh.

suite=bookworm
# What the sandbox's user finds. Everything else is what these depend on.
packages=(ca-certificates curl git iproute2 iputils-ping netcat-openbsd nodejs openssl procps python3 python3-requests)
# What the agent's first stage cannot mount or reach the host without.
modules=(virtio_pci virtio_blk virtio_net erofs squashfs overlay ext4)
# `reboot=t panic=-1` with QEMU's -no-reboot: a guest that fails ends its VM. What only an emulated processor needs is
# added by the driver that emulates one.
cmdline='console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on'
# Run before a template's snapshot: the pages of what sandboxes mostly start with are then in every clone.
warm_up=(
  'true'
  'cat /etc/ssl/certs/ca-certificates.crt /etc/passwd /etc/group > /dev/null'
  'python3 -c "import ssl, json, subprocess, urllib.request"'
  'curl --version'
  'git --version'
)
