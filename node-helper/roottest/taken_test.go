package roottest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cofferdam.dev/node-helper/internal/netspace"
	"golang.org/x/sys/unix"
)

// attempt and outcome are what taken/main.go reads and writes.
type attempt struct {
	Try  string   `json:"try"`
	Path string   `json:"path,omitempty"`
	To   string   `json:"to,omitempty"`
	N    []uint64 `json:"n,omitempty"`
}

type outcome struct {
	Errno  string `json:"errno"`
	Result int    `json:"result"`
	Text   string `json:"text"`
}

// taken is a VMM that its guest has taken over.
type taken struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func takenProgram(t testing.TB) string {
	needRoot(t)
	program := filepath.Join(t.TempDir(), "taken")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./taken")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

func (w *world) taken(slot int, id string) (*taken, process, string) {
	w.t.Helper()
	must(w.t, os.MkdirAll(filepath.Join(w.dir, "images", imageDigest), 0o755))
	w.ok("slot.create", slotArgs{slot})
	dir := w.sandbox(id, slot)
	p := w.startVMM(slot, id, false)
	return w.reach(filepath.Join(dir, "qmp.sock")), p, dir
}

func (w *world) reach(socket string) *taken {
	w.t.Helper()
	k := &taken{t: w.t}
	w.eventually("the stand-in answers", func() (ok bool) {
		var err error
		k.conn, err = net.Dial("unix", socket)
		return err == nil
	})
	w.t.Cleanup(func() { k.conn.Close() })
	k.in = bufio.NewReader(k.conn)
	return k
}

// send answers false if the stand-in did not survive its attempt.
func (k *taken) send(a attempt) (outcome, bool) {
	k.t.Helper()
	must(k.t, k.conn.SetDeadline(time.Now().Add(patience)))
	text, err := json.Marshal(a)
	must(k.t, err)
	_, err = k.conn.Write(append(text, '\n'))
	must(k.t, err)
	line, err := k.in.ReadBytes('\n')
	if err != nil {
		return outcome{}, false
	}
	var o outcome
	must(k.t, json.Unmarshal(line, &o))
	return o, true
}

func (k *taken) try(a attempt) outcome {
	k.t.Helper()
	o, alive := k.send(a)
	if !alive {
		k.t.Fatalf("%+v ended the stand-in", a)
	}
	return o
}

// refused expects one of the errors.
func (k *taken) refused(a attempt, errnos ...string) {
	k.t.Helper()
	if o := k.try(a); !slices.Contains(errnos, o.Errno) {
		k.t.Errorf("%+v: %+v, expected one of %v", a, o, errnos)
	}
}

func (k *taken) allowed(a attempt) outcome {
	k.t.Helper()
	o := k.try(a)
	if o.Errno != "" {
		k.t.Errorf("%+v: %+v, expected success", a, o)
	}
	return o
}

func TestATakenVMMStaysInItsJail(t *testing.T) {
	program := takenProgram(t)
	w := newWorldOf(t, program)
	_, victim, siblings := w.taken(2, "sb-victim")
	k, own, dir := w.taken(1, "sb-taken")
	free := w.unjailed(program)

	t.Run("what it needs it has", func(t *testing.T) { checkNeeds(k, t) })
	t.Run("files of others", func(t *testing.T) { checkOthersFiles(w, k.of(t), free.of(t), siblings) })
	t.Run("devices", func(t *testing.T) { checkDevices(k.of(t)) })
	t.Run("sockets", func(t *testing.T) { checkSockets(w, k.of(t), free.of(t), siblings) })
	t.Run("processes", func(t *testing.T) { checkProcesses(k.of(t), free.of(t), victim, own) })
	t.Run("programs", func(t *testing.T) { checkPrograms(k.of(t), free.of(t)) })
	t.Run("system calls", func(t *testing.T) { checkSystemCalls(k.of(t), free.of(t)) })
	t.Run("names that lead astray", func(t *testing.T) { checkNames(w, k.of(t), free.of(t), dir) })
	t.Run("more than its share", func(t *testing.T) { checkShare(w, k.of(t)) })
	if got := w.vmmPID(2); got != victim.PID {
		t.Errorf("the other VMM is %d after all that, expected %d", got, victim.PID)
	}
	w.ok("slot.list", struct{}{})
}

// of is the same for a part of a test.
func (k *taken) of(t testing.TB) *taken { return &taken{t, k.conn, k.in} }

// unjailed runs the stand-in as root in the host's namespace: what it can do there is what the jail takes from it.
func (w *world) unjailed(program string) *taken {
	w.t.Helper()
	socket := filepath.Join(w.dir, "free.sock")
	cmd := exec.Command(program, socket)
	cmd.Stderr = os.Stderr
	must(w.t, netspace.Do(w.host, cmd.Start))
	w.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return w.reach(socket)
}

// A jail in which nothing works would pass all that follows.
func checkNeeds(k *taken, t *testing.T) {
	k = k.of(t)
	k.allowed(attempt{Try: "write", Path: "/sandbox/disk.ext4"})
	k.allowed(attempt{Try: "create", Path: "/sandbox/serial.log"})
	k.allowed(attempt{Try: "listen", Path: "/sandbox/second.sock"})
	k.allowed(attempt{Try: "create", Path: "/tmp/x"})
	k.allowed(attempt{Try: "truncate", Path: "/sandbox/serial.log", N: []uint64{memoryMiB << 20}})
	k.allowed(attempt{Try: "truncate", Path: "/sandbox/serial.log", N: []uint64{0}})
	k.allowed(attempt{Try: "list", Path: "/image"})
	k.allowed(attempt{Try: "read", Path: "/etc/ld.so.cache"})
	for _, device := range []string{"null", "zero", "urandom"} {
		k.allowed(attempt{Try: "write", Path: "/dev/" + device})
	}
	k.allowed(attempt{Try: "socket", N: []uint64{unix.AF_UNIX, unix.SOCK_STREAM, 0}})
	k.allowed(attempt{Try: "clone", N: []uint64{0}})
}

func checkOthersFiles(w *world, k, free *taken, siblings string) {
	disk := filepath.Join(siblings, "disk.ext4")
	free.allowed(attempt{Try: "write", Path: disk})
	free.allowed(attempt{Try: "read", Path: "/etc/shadow"})
	for _, path := range []string{
		disk, "/sandbox/../../" + disk, "/sandbox/../sb-victim/disk.ext4", "/proc/self/cwd" + disk, "/proc/self/root" + disk, "/proc/1/root" + disk,
		"/etc/shadow", "/proc/1/root/etc/shadow", "/etc/passwd", "/root", "/home", "/var", "/run", w.config, filepath.Join(w.dir, "images"), "/sys", "/sys/fs/cgroup",
		"/proc/sys/kernel/core_pattern", "/proc/kcore", "/proc/kallsyms", "/proc/cmdline", "/proc/mounts/../../etc/shadow",
	} {
		k.refused(attempt{Try: "read", Path: path}, "ENOENT", "EACCES", "ENOTDIR")
	}
	for _, path := range []string{"/x", "/usr/x", "/image/x", "/etc/x", "/dev/x", "/proc/x"} {
		k.refused(attempt{Try: "create", Path: path}, "EACCES", "EROFS", "ENOENT")
	}
	k.refused(attempt{Try: "write", Path: "/proc/self/oom_score_adj"}, "EACCES", "EROFS")
	k.refused(attempt{Try: "write", Path: "/etc/ld.so.cache"}, "EACCES", "EROFS")
	k.refused(attempt{Try: "chown", Path: "/sandbox/disk.ext4", N: []uint64{0}}, "EPERM")
	k.refused(attempt{Try: "list", Path: "/"}, "EACCES")
}

func checkDevices(k *taken) {
	for _, path := range []string{"/dev/kvm", "/dev/mem", "/dev/net/tun", "/dev/vda", "/dev/sda", "/dev/tty", "/dev/ptmx", "/dev/fuse", "/dev/userfaultfd", "/dev/loop-control"} {
		k.refused(attempt{Try: "write", Path: path}, "ENOENT", "EACCES")
	}
	for _, dir := range []string{"/sandbox", "/tmp", "/dev"} {
		k.refused(attempt{Try: "device", Path: dir + "/disk", N: []uint64{unix.Mkdev(254, 0)}}, "EPERM")
	}
	const tiocsti, tioclinux, tunsetiff = 0x5412, 0x541c, 0x400454ca
	for fd := range uint64(4) {
		k.refused(attempt{Try: "ioctl", N: []uint64{fd, tiocsti}}, "ENOTTY", "EINVAL", "EPERM", "EBADF")
		k.refused(attempt{Try: "ioctl", N: []uint64{fd, tioclinux}}, "ENOTTY", "EINVAL", "EPERM", "EBADF")
	}
	// The tap that it has becomes no other.
	k.refused(attempt{Try: "ioctl", N: []uint64{3, tunsetiff}}, "EINVAL", "EPERM", "EBUSY", "EEXIST")
}

func checkSockets(w *world, k, free *taken, siblings string) {
	links := filepath.Join(w.dir, "run", "links", "2.sock")
	for _, path := range []string{w.socket, links, filepath.Join(siblings, "qmp.sock")} {
		if path != filepath.Join(siblings, "qmp.sock") { // which serves one at a time
			free.allowed(attempt{Try: "connect", Path: path})
		}
		k.refused(attempt{Try: "connect", Path: path}, "ENOENT", "EACCES", "ENOTDIR", "EINVAL")
	}
	// In the host's network namespace, and at its own: there it is Landlock that holds it back.
	for name, ns := range map[string]*os.File{"@host-" + w.mesh: w.host, "@slot-" + w.mesh: w.slot(1)} {
		var l net.Listener
		must(k.t, netspace.Do(ns, func() (err error) {
			l, err = net.Listen("unix", name)
			return err
		}))
		if ns == w.host {
			free.allowed(attempt{Try: "connect", Path: name})
			k.refused(attempt{Try: "connect", Path: name}, "ECONNREFUSED")
		} else {
			k.refused(attempt{Try: "connect", Path: name}, "EPERM")
		}
		l.Close()
	}
	free.allowed(attempt{Try: "socket", N: []uint64{unix.AF_PACKET, unix.SOCK_RAW, 0x0300}})
	free.allowed(attempt{Try: "socket", N: []uint64{unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP}})
	before := w.uplink.all()
	for family := range uint64(unix.AF_MAX + 4) {
		if family == unix.AF_UNIX {
			continue
		}
		for _, kind := range []uint64{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_RAW, unix.SOCK_SEQPACKET} {
			k.refused(attempt{Try: "socket", N: []uint64{family, kind, 0}}, "EPERM")
		}
	}
	// As a kernel reads its argument this is AF_INET too.
	k.refused(attempt{Try: "syscall", N: []uint64{unix.SYS_SOCKET, 1<<32 | unix.AF_INET, unix.SOCK_STREAM, 0}}, "EPERM")
	k.refused(attempt{Try: "syscall", N: []uint64{unix.SYS_SOCKET, 1<<32 | unix.AF_UNIX, unix.SOCK_STREAM, 0}}, "EPERM")
	if after := w.uplink.all(); after != before {
		k.t.Errorf("%d packets left", after-before)
	}
}

func checkProcesses(k, free *taken, victim, own process) {
	free.allowed(attempt{Try: "kill", N: []uint64{uint64(victim.PID), 0}})
	pids := []uint64{uint64(victim.PID), uint64(own.PID), uint64(os.Getpid()), 2, 100}
	for _, pid := range pids {
		k.refused(attempt{Try: "kill", N: []uint64{pid, 0}}, "ESRCH", "EPERM")
	}
	const attach, traceMe = unix.PTRACE_ATTACH, unix.PTRACE_TRACEME
	for _, pid := range append(pids, 1) {
		k.refused(attempt{Try: "syscall", N: []uint64{unix.SYS_PTRACE, attach, pid}}, "EPERM")
		k.refused(attempt{Try: "syscall", N: []uint64{unix.SYS_PROCESS_VM_READV, pid}}, "EPERM")
		k.refused(attempt{Try: "syscall", N: []uint64{unix.SYS_PIDFD_OPEN, pid}}, "EPERM")
	}
	k.refused(attempt{Try: "syscall", N: []uint64{unix.SYS_PTRACE, traceMe}}, "EPERM")
	for _, name := range strings.Fields(k.allowed(attempt{Try: "list", Path: "/proc"}).Text) {
		if name != "1" && name != "self" && name != "thread-self" {
			k.t.Errorf("/proc shows %s", name)
		}
	}
	k.refused(attempt{Try: "read", Path: fmt.Sprintf("/proc/%d/environ", victim.PID)}, "ENOENT")
}

func checkPrograms(k, free *taken) {
	// With success the child becomes the program, whose own status is 0.
	free.allowed(attempt{Try: "exec", Path: "/bin/true"})
	for _, path := range []string{"/bin/true", "/usr/bin/true", "/bin/sh", "/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/sandbox/disk.ext4"} {
		k.refused(attempt{Try: "exec", Path: path}, "EACCES", "ENOENT")
	}
}

func checkSystemCalls(k, free *taken) {
	for name, call := range map[string][]uint64{
		"unshare user": {unix.SYS_UNSHARE, unix.CLONE_NEWUSER}, "unshare net": {unix.SYS_UNSHARE, unix.CLONE_NEWNET}, "setns": {unix.SYS_SETNS, 3, 0},
		"mount": {unix.SYS_MOUNT}, "umount": {unix.SYS_UMOUNT2}, "pivot_root": {unix.SYS_PIVOT_ROOT}, "chroot": {unix.SYS_CHROOT}, "open_tree": {unix.SYS_OPEN_TREE},
		"fsopen": {unix.SYS_FSOPEN}, "move_mount": {unix.SYS_MOVE_MOUNT}, "mount_setattr": {unix.SYS_MOUNT_SETATTR}, "open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT},
		"bpf": {unix.SYS_BPF}, "perf_event_open": {unix.SYS_PERF_EVENT_OPEN}, "userfaultfd": {unix.SYS_USERFAULTFD, 1}, "keyctl": {unix.SYS_KEYCTL}, "add_key": {unix.SYS_ADD_KEY},
		"init_module": {unix.SYS_INIT_MODULE}, "finit_module": {unix.SYS_FINIT_MODULE}, "kexec_load": {unix.SYS_KEXEC_LOAD}, "reboot": {unix.SYS_REBOOT},
		"iopl": {unix.SYS_IOPL, 3}, "ioperm": {unix.SYS_IOPERM}, "syslog": {unix.SYS_SYSLOG}, "personality": {unix.SYS_PERSONALITY, 0xffffffff}, "modify_ldt": {unix.SYS_MODIFY_LDT},
		"setuid": {unix.SYS_SETUID, 0}, "setresuid own": {unix.SYS_SETRESUID, vmmUIDBase + 1, vmmUIDBase + 1, vmmUIDBase + 1}, "setgroups": {unix.SYS_SETGROUPS}, "capset": {unix.SYS_CAPSET},
		"pidfd_getfd": {unix.SYS_PIDFD_GETFD}, "kcmp": {unix.SYS_KCMP}, "fanotify_init": {unix.SYS_FANOTIFY_INIT}, "clock_settime": {unix.SYS_CLOCK_SETTIME},
	} {
		if o := k.try(attempt{Try: "syscall", N: call}); o.Errno != "EPERM" {
			k.t.Errorf("%s: %+v, expected EPERM", name, o)
		}
	}
	for _, flag := range []uint64{unix.CLONE_NEWUSER, unix.CLONE_NEWNS, unix.CLONE_NEWNET, unix.CLONE_NEWPID, unix.CLONE_NEWIPC, unix.CLONE_NEWUTS, unix.CLONE_NEWCGROUP} {
		k.refused(attempt{Try: "clone", N: []uint64{flag}}, "EPERM")
	}
	const x32 = 1 << 30
	for _, call := range [][]uint64{{unix.SYS_CLONE3}, {unix.SYS_IO_URING_SETUP, 8}, {unix.SYS_GETPID | x32}, {unix.SYS_PTRACE | x32}, {5000}} {
		k.refused(attempt{Try: "syscall", N: call}, "ENOSYS")
	}
	// What is ptrace for one architecture is getuid for the other: the filter ends who tries. A kernel without i386 ends him itself.
	if free.try(attempt{Try: "i386"}).Errno == "" {
		k.refused(attempt{Try: "i386"}, fmt.Sprintf("signal %d", unix.SIGSYS))
	}
}

// What lies in its directory node-agent and node-helper read, too: a link there would be read with their rights, a FIFO would hold them up.
func checkNames(w *world, k, free *taken, dir string) {
	free.allowed(attempt{Try: "symlink", Path: filepath.Join(w.dir, "by-root"), To: "/etc/shadow"})
	for _, name := range []string{"ram", "state", "state.sock", "link"} {
		path := "/sandbox/" + name
		k.refused(attempt{Try: "symlink", Path: path, To: "/etc/shadow"}, "EPERM")
		k.refused(attempt{Try: "symlink", Path: path, To: w.socket}, "EPERM")
		k.refused(attempt{Try: "link", Path: path, To: "/sandbox/disk.ext4"}, "EPERM")
		k.refused(attempt{Try: "link", Path: path, To: "/image"}, "EPERM")
		k.refused(attempt{Try: "fifo", Path: path}, "EPERM")
		k.refused(attempt{Try: "mkdir", Path: path + ".d"}, "EACCES")
	}
	k.refused(attempt{Try: "rename", Path: "/tmp/disk", To: "/sandbox/disk.ext4"}, "EXDEV", "EACCES")
	k.refused(attempt{Try: "rename", Path: "/sandbox/../x", To: "/sandbox/disk.ext4"}, "EXDEV", "EROFS", "EACCES")
	entries, err := os.ReadDir(dir)
	must(k.t, err)
	for _, e := range entries {
		if e.Type()&^os.ModeSocket != 0 {
			k.t.Errorf("%s is a %v", e.Name(), e.Type())
		}
	}
}

// checkShare comes last: the stand-in does not survive it.
func checkShare(w *world, k *taken) {
	if o := k.try(attempt{Try: "files", N: []uint64{5000}}); o.Errno != "EMFILE" || o.Result > 1024 {
		k.t.Errorf("descriptors: %+v", o)
	}
	k.refused(attempt{Try: "truncate", Path: "/sandbox/disk.ext4", N: []uint64{1 << 40}}, "EFBIG")
	k.refused(attempt{Try: "truncate", Path: "/sandbox/serial.log", N: []uint64{(memoryMiB + 65) << 20}}, "EFBIG")
	if hierarchy("pids") {
		if o := k.try(attempt{Try: "forks", N: []uint64{5000}}); o.Errno != "EAGAIN" || o.Result > 97 {
			k.t.Errorf("forks: %+v", o)
		}
	}
	if hierarchy("memory") {
		// Its guest's 128 MiB, the 256 that go with them, and some more.
		if o, alive := k.send(attempt{Try: "memory", N: []uint64{memoryMiB + 256 + 64}}); alive {
			k.t.Errorf("memory beyond the limit: %+v", o)
		}
		w.eventually("it has ended", func() bool { return w.vmmPID(1) == 0 })
	}
}

func hierarchy(controller string) bool {
	_, err := os.Stat(filepath.Join("/sys/fs/cgroup", controller))
	return err == nil
}
