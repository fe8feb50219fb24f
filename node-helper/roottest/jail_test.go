package roottest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cofferdam.dev/node-helper/internal/netspace"
	"golang.org/x/sys/unix"
)

func TestClonesOfOneTemplateRunJailed(t *testing.T) {
	w := newWorld(t)
	w.makeTemplate()
	w.ok("template.load", map[string]any{"template": templateDigest})
	w.ok("template.load", map[string]any{"template": templateDigest})
	gateway := w.gateway()
	p2, dir := w.restore(2, "sb-two")
	p3, _ := w.restore(3, "sb-three")

	if got := w.run(2, "echo two > /tmp/x; cat /tmp/x"); got != "two\n" {
		t.Errorf("slot 2 said %q", got)
	}
	if got := w.run(3, "cat /tmp/x 2>/dev/null || echo none"); got != "none\n" {
		t.Errorf("slot 3 said %q: a clone's write reached another", got)
	}
	// Through the real virtio device, with whatever checksum and segment offload it negotiated.
	const digest = "busybox head -c 1000000 /dev/zero | busybox nc 203.0.113.7 443 | busybox head -c 1000000 | busybox md5sum"
	if got := w.run(2, digest); got != "879f4bba57ed37c9ec5e5aedf9864698  -\n" {
		t.Errorf("echo of a megabyte through the gateway: %q", got)
	}
	if a := gateway.next(t); a.Local != "203.0.113.7:443" || !strings.HasPrefix(a.Remote, "100.80.0.2:") {
		t.Errorf("arrived %+v", a)
	}

	t.Run("identity", func(t *testing.T) { checkIdentity(t, w, p2.PID, 2) })
	t.Run("mounts", func(t *testing.T) { checkMounts(t, p2.PID) })
	t.Run("descriptors", func(t *testing.T) { checkDescriptors(t, p2.PID) })
	t.Run("template is read-only", func(t *testing.T) { checkTemplate(t, p2.PID, 2) })
	t.Run("files", func(t *testing.T) { checkFiles(t, dir) })
	t.Run("usage", func(t *testing.T) { checkUsage(t, w, dir) })
	t.Run("a live VMM's sandbox is not given away", func(t *testing.T) {
		w.refused("exists", "sandbox.prepare", map[string]any{"slot": 3, "sandbox": "sb-two", "files": []string{"disk.ext4"}})
	})
	t.Run("one VMM per slot", func(t *testing.T) { w.refused("exists", "vmm.start", startRequest(2, "sb-two", true)) })
	t.Run("outlives the helper", func(t *testing.T) { checkRestart(t, w, p2, p3) })
}

func checkIdentity(t *testing.T, w *world, pid, slot int) {
	uid := fmt.Sprint(vmmUIDBase + slot)
	all := strings.Join([]string{uid, uid, uid, uid}, " ")
	for field, want := range map[string]string{
		"Uid": all, "Gid": all, "Groups": "", "NoNewPrivs": "1", "Seccomp": "2", "CapInh": "0000000000000000", "CapPrm": "0000000000000000",
		"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000", "Umask": "0007",
	} {
		if got := statusOf(t, pid, field); got != want {
			t.Errorf("%s: %q, expected %q", field, got, want)
		}
	}
	// QEMU's own over the helper's.
	if got := statusOf(t, pid, "Seccomp_filters"); got != "2" {
		t.Errorf("%s filters of system calls, expected 2", got)
	}
	if !strings.HasSuffix(statusOf(t, pid, "NSpid"), " 1") {
		t.Errorf("NSpid: %q, expected the VMM to be pid 1 of its own namespace", statusOf(t, pid, "NSpid"))
	}
	for _, ns := range []string{"mnt", "pid", "ipc", "uts", "net"} {
		own, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, ns))
		must(t, err)
		if host, _ := os.Readlink("/proc/self/ns/" + ns); own == host {
			t.Errorf("namespace %s is the host's", ns)
		}
	}
	var own, want unix.Stat_t
	must(t, unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &own))
	must(t, unix.Fstat(int(w.slot(slot).Fd()), &want))
	if own.Ino != want.Ino {
		t.Error("the network namespace is not the slot's")
	}
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	must(t, err)
	if !strings.Contains(string(groups), fmt.Sprintf("/cofferdam/%s/s%d\n", w.mesh, slot)) {
		t.Errorf("cgroups: %s", groups)
	}
	checkThrottle(t, w, slot)
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d: %v", sid, err)
	}
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	must(t, err)
	if !strings.HasPrefix(string(cmdline), "/usr/bin/qemu-system-x86_64\x00") {
		t.Errorf("pid is not QEMU's: %q", cmdline)
	}
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	must(t, err)
	if got := string(environment); got != "PATH=/nonexistent\x00HOME=/tmp\x00TMPDIR=/tmp\x00LC_ALL=C\x00" {
		t.Errorf("environment: %q", got)
	}
}

// checkThrottle reads back what the kernel took; /tmp, where the sandboxes lie, may be in memory.
func checkThrottle(t *testing.T, w *world, slot int) {
	group := fmt.Sprintf("/sys/fs/cgroup/blkio/cofferdam/%s/s%d/", w.mesh, slot)
	if _, err := os.Stat(group); err != nil {
		return
	}
	var stat unix.Stat_t
	must(t, unix.Stat(w.dir, &stat))
	if _, err := os.Stat(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev))); err != nil {
		return
	}
	for file, want := range map[string]string{"read_bps": "268435456", "write_bps": "268435456", "read_iops": "8192", "write_iops": "8192"} {
		text, err := os.ReadFile(group + "blkio.throttle." + file + "_device")
		must(t, err)
		if fields := strings.Fields(string(text)); len(fields) != 2 || fields[1] != want {
			t.Errorf("%s: %q, expected %s", file, text, want)
		}
	}
}

func checkMounts(t *testing.T, pid int) {
	root := fmt.Sprintf("/proc/%d/root", pid)
	entries, err := os.ReadDir(root)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"dev", "etc", "image", "lib", "lib64", "proc", "sandbox", "template", "tmp", "usr"}; !slices.Equal(names, want) {
		t.Errorf("root: %v, expected %v", names, want)
	}
	devices, err := os.ReadDir(root + "/dev")
	must(t, err)
	if len(devices) != 3 {
		t.Errorf("devices: %v", devices)
	}
	if entries, err := os.ReadDir(root + "/etc"); err != nil || len(entries) != 1 {
		t.Errorf("etc: %v %v", entries, err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	must(t, err)
	seen := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		seen[fields[4]] = fields[5]
	}
	for point, wanted := range map[string]string{
		"/": "ro,nosuid,noexec", "/usr": "ro,nosuid,nodev", "/etc/ld.so.cache": "ro,nosuid,nodev,noexec", "/sandbox": "rw,nosuid,nodev,noexec",
		"/template": "ro,nosuid,nodev,noexec", "/image": "ro,nosuid,nodev,noexec", "/proc": "ro,nosuid,nodev,noexec", "/tmp": "rw,nosuid,nodev,noexec",
	} {
		options := strings.Split(seen[point], ",")
		for _, o := range strings.Split(wanted, ",") {
			if !slices.Contains(options, o) {
				t.Errorf("%s is mounted %q, expected %s", point, seen[point], wanted)
				break
			}
		}
		delete(seen, point)
	}
	if len(seen) != 0 {
		t.Errorf("further mounts: %v", seen)
	}
	// Nothing of the host's /proc but processes.
	if _, err := os.Stat(root + "/proc/sys"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("/proc/sys: %v", err)
	}
}

func checkDescriptors(t *testing.T, pid int) {
	for fd, want := range map[int]string{0: "/dev/null", 3: "/dev/net/tun", 4: "/memfd:template-" + templateDigest + " (deleted)", 5: "/template/state"} {
		got, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		if fd == 5 && (errors.Is(err, os.ErrNotExist) || !strings.HasSuffix(got, "/state")) {
			continue // QEMU closes it once restored and may use its number again
		}
		if err != nil || !strings.HasSuffix(got, want) {
			t.Errorf("descriptor %d is %q (%v), expected %q", fd, got, err, want)
		}
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	for _, e := range entries {
		target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, e.Name()))
		if strings.Contains(target, "helper") || strings.Contains(target, "netns") || target == "/usr" {
			t.Errorf("descriptor %s is %q", e.Name(), target)
		}
	}
}

// checkTemplate tries to change the RAM that all clones share: as root on the very descriptor, and as the VMM's uid by opening it anew.
func checkTemplate(t *testing.T, pid, slot int) {
	file, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/4", pid), os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	fd := int(file.Fd())
	if _, err := unix.Pwrite(fd, []byte("x"), 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("write: %v, expected EPERM", err)
	}
	if err := unix.Ftruncate(fd, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("truncate: %v, expected EPERM", err)
	}
	if err := unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4096); !errors.Is(err, unix.EPERM) {
		t.Errorf("punch a hole: %v, expected EPERM", err)
	}
	if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); !errors.Is(err, unix.EPERM) {
		t.Errorf("shared mapping: %v, expected EPERM", err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, 0); !errors.Is(err, unix.EPERM) {
		t.Errorf("seals: %v, expected EPERM", err)
	}
	// What QEMU itself does: as its uid, by this name, for writing. Opening works, or clones could not start; writing does not.
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	must(t, err)
	defer null.Close()
	writer := exec.Command("/bin/busybox", "sh", "-c", "exec 9<>/proc/self/fd/4 && echo opened; echo x >&9 || echo refused")
	writer.ExtraFiles = []*os.File{null, file}
	uid := uint32(vmmUIDBase + slot)
	writer.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, _ := writer.CombinedOutput()
	if got := string(out); !strings.HasPrefix(got, "opened\n") || !strings.Contains(got, "not permitted") {
		t.Errorf("as the VMM's uid: %q", got)
	}
}

// checkFiles looks at the sandbox's directory with node-agent's eyes.
func checkFiles(t *testing.T, dir string) {
	for name, mode := range map[string]os.FileMode{
		".": os.ModeDir | os.ModeSetgid | 0o770, "disk.ext4": 0o660, "qmp.sock": os.ModeSocket | 0o770, "serial.log": 0o660,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		if info.Mode() != mode || stat.Gid != agentGID || stat.Uid != vmmUIDBase+2 {
			t.Errorf("%s: %v %d:%d, expected %v %d:%d", name, info.Mode(), stat.Uid, stat.Gid, mode, vmmUIDBase+2, agentGID)
		}
	}
}

func checkRestart(t *testing.T, w *world, p2, p3 process) {
	w.kill9()
	for _, p := range []process{p2, p3} {
		if err := unix.Kill(p.PID, 0); err != nil {
			t.Fatalf("pid %d after kill -9 of the helper: %v", p.PID, err)
		}
	}
	w.start()
	if got := w.vmmPID(2); got != p2.PID {
		t.Errorf("pid of slot 2 is %d, expected %d", got, p2.PID)
	}
	if got := w.run(2, "cat /tmp/x"); got != "two\n" {
		t.Errorf("slot 2 said %q", got)
	}
	// Asked for late, it is another's slot: a VMM before it, that of another slot, a later process with its pid.
	for _, other := range []stopArgs{{2, p2.PID, p2.StartTime + 1}, {2, p3.PID, p3.StartTime}, {2, p2.PID + 1, p2.StartTime}, {2, os.Getpid(), 1}} {
		w.ok("vmm.stop", other)
	}
	if got := w.vmmPID(2); got != p2.PID {
		t.Errorf("pid of slot 2 is %d, expected %d: it was not asked to stop", got, p2.PID)
	}
	for _, half := range []stopArgs{{2, p2.PID, 0}, {2, 0, p2.StartTime}, {2, -1, p2.StartTime}} {
		w.refused("invalid", "vmm.stop", half)
	}
	w.ok("vmm.stop", stopArgs{2, p2.PID, p2.StartTime})
	w.ok("vmm.stop", stopArgs{2, p2.PID, p2.StartTime})
	w.ok("vmm.stop", slotArgs{2})
	if got := w.vmmPID(2); got != 0 {
		t.Errorf("pid of slot 2 is %d after stop", got)
	}
	if got := w.vmmPID(3); got != p3.PID {
		t.Errorf("pid of slot 3 is %d, expected %d: stop reached another slot", got, p3.PID)
	}
	// The template is loaded anew for the next clone.
	w.ok("slot.destroy", slotArgs{2})
	w.ok("slot.create", slotArgs{2})
	w.restore(2, "sb-again")
	if got := w.run(2, "cat /tmp/x 2>/dev/null || echo none"); got != "none\n" {
		t.Errorf("the new clone said %q", got)
	}
	w.ok("slot.destroy", slotArgs{2})
	w.ok("slot.destroy", slotArgs{3})
	// Orphaned by the helper's death, it may wait for init to reap it: dead all the same.
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p3.PID)); err == nil && !strings.Contains(string(status), "State:\tZ") {
		t.Errorf("the VMM of a destroyed slot lives: %s", status)
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/cofferdam/" + w.mesh + "/s*")
	if len(groups) != 0 {
		t.Errorf("cgroups are left: %v", groups)
	}
}

func TestTeardownEndsVMMsOfAHalfRemovedSlot(t *testing.T) {
	w := newWorld(t)
	w.image()
	w.ok("slot.create", slotArgs{1})
	w.sandbox("sb-a", 1)
	p := w.startVMM(1, "sb-a", false)
	w.kill9()
	must(t, netspace.Delete(w.mesh+"-s1"))
	out, err := exec.Command(helperBinary, "teardown", "--config", w.config).CombinedOutput()
	if err != nil {
		t.Fatalf("teardown: %v: %s", err, out)
	}
	if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID)); err == nil && !strings.Contains(string(status), "State:\tZ") {
		t.Errorf("the VMM lives: %s", status)
	}
}
