package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// The guest's place in its slot, the same in every slot (docs/architecture.md).
var (
	Address  = netip.MustParsePrefix("169.254.0.21/30")
	Gateway  = netip.MustParseAddr("169.254.0.22") // also where the host speaks from
	resolver = netip.MustParseAddr("198.18.0.1")
)

const link = "eth0"

// System mounts the kernel's file systems and brings up the network.
func System() error {
	if err := mountAll([]mount{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sys", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666"},
		{"shm", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"run", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755,size=64m"},
		{"cgroup", "/sys/fs/cgroup", "cgroup2", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	}); err != nil {
		return err
	}
	for target, name := range map[string]string{
		"/proc/self/fd": "/dev/fd", "/proc/self/fd/0": "/dev/stdin", "/proc/self/fd/1": "/dev/stdout", "/proc/self/fd/2": "/dev/stderr",
	} {
		if err := os.Symlink(target, name); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, directory := range []string{"/tmp", "/var/tmp", "/run/lock"} {
		if err := os.MkdirAll(directory, 0o1777); err != nil {
			return err
		}
		if err := unix.Chmod(directory, 0o1777); err != nil {
			return err
		}
	}
	settings()
	if err := raiseFileLimit(); err != nil {
		return err
	}
	if err := network(); err != nil {
		return err
	}
	return names()
}

// settings are wishes: a kernel without one of them boots all the same.
func settings() {
	for path, value := range map[string]string{
		// IPv6 leads nowhere from a slot. No address by itself, no router solicitations: the drops that the node reports
		// are then only what a program tried.
		"/proc/sys/net/ipv6/conf/default/addr_gen_mode":      "1",
		"/proc/sys/net/ipv6/conf/default/accept_ra":          "0",
		"/proc/sys/net/ipv6/conf/" + link + "/addr_gen_mode": "1",
		"/proc/sys/net/ipv6/conf/" + link + "/accept_ra":     "0",
		// As login managers set it: any user may ping, for as far as the slot lets it.
		"/proc/sys/net/ipv4/ping_group_range": "0 2147483647",
	} {
		if err := os.WriteFile(path, []byte(value), 0); err != nil {
			slog.Info("setting_not_made", "path", path, "cause", err.Error())
		}
	}
}

// raiseFileLimit replaces the kernel's 1,024 and 4,096 by what service managers give.
func raiseFileLimit() error {
	limit := unix.Rlimit{Cur: 1 << 16, Max: 1 << 20}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("RLIMIT_NOFILE: %w", err)
	}
	return nil
}

func network() error {
	socket, err := openNetlink()
	if err != nil {
		return err
	}
	defer socket.close()
	if err := socket.up("lo"); err != nil {
		return err
	}
	if err := socket.addAddress(link, Address); err != nil {
		return err
	}
	if err := socket.up(link); err != nil {
		return err
	}
	return socket.addDefaultRoute(link, Gateway)
}

// names are those of a guest that was not configured yet.
func names() error {
	const hostname = "cofferdam"
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return err
	}
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	for path, text := range map[string]string{
		"/etc/resolv.conf": fmt.Sprintf("nameserver %s\n", resolver),
		// The guest's own name must resolve: curl's libldap asks for it when it is loaded, and would wait for DNS.
		"/etc/hosts": "127.0.0.1\tlocalhost\n127.0.1.1\t" + hostname + "\n",
	} {
		// What the image has there may be a link to nowhere.
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// PowerOff ends the guest.
func PowerOff() {
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}
