package vmm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"cofferdam.dev/node-helper/internal/confine"
	"cofferdam.dev/node-helper/internal/privilege"
	"golang.org/x/sys/unix"
)

const (
	// An existing directory to build the new root on. The mount covers it in this process's namespace only.
	staging = "/run"

	openFiles = 1024
	// Rather a VMM than a service of the mesh when the host's memory ends.
	oomScore = "500"
)

// Stage is the child. It returns only with an error, which it has told the parent as well. It uses bare descriptors: 3 to 6 must stay
// where they are, and package os may open others for itself.
func Stage() error {
	runtime.LockOSThread()
	err := stage()
	_, _ = unix.Write(fdControl, []byte(err.Error()))
	return err
}

func stage() error {
	unix.CloseOnExec(fdControl)
	o, err := readOrders()
	if err != nil {
		return fmt.Errorf("orders: %w", err)
	}
	if err := enterRoot(o); err != nil {
		return err
	}
	if err := limit(o); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("vmm")); err != nil {
		return fmt.Errorf("host name: %w", err)
	}
	word := make([]byte, 8)
	if n, err := unix.Read(fdControl, word); err != nil || string(word[:n]) != "go" {
		return fmt.Errorf("the parent gave no sign: %q, %w", word[:n], err)
	}
	if err := closeRest(o); err != nil {
		return err
	}
	// The group agent owns /sandbox and follows from its setgid bit: what the VMM makes there both can use, nobody else.
	unix.Umask(0o007)
	if err := privilege.Drop(o.UID, o.UID); err != nil {
		return err
	}
	if o.API {
		if err := offerAPI(); err != nil {
			return err
		}
	}
	if err := confineTo(o); err != nil {
		return err
	}
	err = unix.Exec(o.Program, append([]string{o.Program}, o.Args...), []string{"PATH=/nonexistent", "HOME=/tmp", "TMPDIR=/tmp", "LC_ALL=C"})
	return fmt.Errorf("exec %s: %w", o.Program, err)
}

// confineTo puts on what outlives the exec. The filter of system calls comes last: nothing of the stage's own is refused by it.
func confineTo(o *orders) error {
	files := confine.Files{Read: []string{"/proc"}, Write: []string{"/tmp"}, Execute: []string{o.Program}}
	for _, m := range o.Mounts {
		if m.Writable {
			files.Write = append(files.Write, "/"+m.Target)
		} else {
			files.Read = append(files.Read, "/"+m.Target)
		}
	}
	for _, d := range o.Devices {
		files.Devices = append(files.Devices, filepath.Join("/dev", d.Name))
	}
	if o.Interpreter != "" {
		files.Execute = append(files.Execute, o.Interpreter)
	}
	if err := files.Restrict(); err != nil {
		return err
	}
	return confine.SystemCalls()
}

func readOrders() (*orders, error) {
	text := make([]byte, 1<<20)
	n, err := unix.Read(fdControl, text)
	if err != nil {
		return nil, err
	}
	o := &orders{}
	return o, json.Unmarshal(text[:n], o)
}

// closeRest leaves the VMM the standard streams and the descriptors that it was promised.
func closeRest(o *orders) error {
	if err := unix.CloseRange(fdControl, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return fmt.Errorf("close_range: %w", err)
	}
	if !o.Tap {
		unix.CloseOnExec(fdTap)
	}
	if !o.RAM {
		unix.CloseOnExec(fdRAM)
	}
	if !o.State {
		unix.CloseOnExec(fdState)
	}
	return nil
}

func limit(o *orders) error {
	for resource, value := range map[int]uint64{
		unix.RLIMIT_NOFILE: openFiles, unix.RLIMIT_MEMLOCK: 0, unix.RLIMIT_MSGQUEUE: 0, unix.RLIMIT_FSIZE: o.FileSize,
		// No thread of a VMM overtakes the host's own, nor holds signals back without end.
		unix.RLIMIT_RTPRIO: 0, unix.RLIMIT_NICE: 0, unix.RLIMIT_SIGPENDING: 1024,
	} {
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("resource limit %d: %w", resource, err)
		}
	}
	return nil
}

// enterRoot builds the new root from the parent's mounts and leaves the old one behind.
func enterRoot(o *orders) error {
	// Before the new /proc, which shows processes alone and nothing to write.
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte(oomScore), 0); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private mounts: %w", err)
	}
	// The helper's would make /dev and /etc root's alone.
	unix.Umask(0o022)
	if err := unix.Mount("root", staging, "tmpfs", unix.MS_NOSUID, "size=1m,nr_inodes=64,mode=755"); err != nil {
		return fmt.Errorf("root: %w", err)
	}
	if err := unix.Chdir(staging); err != nil {
		return err
	}
	for _, dir := range []string{"dev", "etc", "proc", "tmp"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := makeDevices(o); err != nil {
		return err
	}
	for _, l := range o.Links {
		if err := os.Symlink(l.Target, l.Name); err != nil {
			return err
		}
	}
	for i, m := range o.Mounts {
		if err := attach(fdMounts+i, m); err != nil {
			return err
		}
	}
	// Of /proc the VMM needs /proc/self/fd/4; subset=pid leaves out /proc/sys and all else about the host.
	if err := unix.Mount("proc", "proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC|unix.MS_RDONLY, "subset=pid,hidepid=invisible"); err != nil {
		return fmt.Errorf("proc: %w", err)
	}
	if err := unix.Mount("tmp", "tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=16m,nr_inodes=1024,mode=1777"); err != nil {
		return fmt.Errorf("tmp: %w", err)
	}
	// pivot_root(".", "."): the old root lies on top of the new one until it is unmounted (pivot_root(2)).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("read-only root: %w", err)
	}
	return nil
}

func makeDevices(o *orders) error {
	for _, d := range o.Devices {
		path := filepath.Join("dev", d.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := unix.Mknod(path, unix.S_IFCHR, int(unix.Mkdev(d.Major, d.Minor))); err != nil {
			return fmt.Errorf("mknod %s: %w", d.Name, err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			return err
		}
	}
	return nil
}

func attach(fd int, m mount) error {
	var err error
	if m.File {
		if err := os.MkdirAll(filepath.Dir(m.Target), 0o755); err != nil {
			return err
		}
		err = os.WriteFile(m.Target, nil, 0o644)
	} else {
		err = os.Mkdir(m.Target, 0o755)
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, m.Target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mount /%s: %w", m.Target, err)
	}
	return nil
}
