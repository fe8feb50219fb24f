package roottest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	imageDigest    = "11aa"
	templateDigest = "22bb"
	memoryMiB      = 128
)

// guestModules in the order that they need each other.
var guestModules = []string{
	"drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci_modern_dev",
	"drivers/virtio/virtio_pci", "net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net",
}

// The guest's agent is a shell on the link.
const guestInit = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for m in %s; do insmod /$m.ko || echo "no $m"; done
ip link set eth0 up
ip addr add 169.254.0.21/30 dev eth0
ip route add default via 169.254.0.22
echo guest is up
exec nc -ll -p 1024 -e /bin/sh
`

// image makes a directory with kernel and initrd from Debian's packages, or skips.
func (w *world) image() {
	t := w.t
	t.Helper()
	for _, tool := range []string{"/usr/bin/qemu-system-x86_64", "/bin/busybox"} {
		if _, err := os.Stat(tool); err != nil {
			t.Skipf("needs %s (qemu-system-x86, busybox-static)", tool)
		}
	}
	tree := kernelTree(t)
	dir := filepath.Join(w.dir, "images", imageDigest)
	must(t, os.MkdirAll(dir, 0o755))
	kernels, err := filepath.Glob(tree + "/boot/vmlinuz-*")
	if err != nil || len(kernels) != 1 {
		t.Fatalf("kernels: %v %v", kernels, err)
	}
	copyFile(t, filepath.Join(dir, "vmlinuz"), kernels[0])
	must(t, os.WriteFile(filepath.Join(dir, "initrd"), initrd(t, tree), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "rootfs.erofs"), make([]byte, 1<<20), 0o644))
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	text, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, text, 0o644))
}

// kernelTree unpacks Debian's cloud kernel, once per machine.
func kernelTree(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	tree := filepath.Join(cache, "cofferdam-test-kernel")
	if found, _ := filepath.Glob(tree + "/boot/vmlinuz-*"); len(found) == 1 {
		return tree
	}
	depends, err := exec.Command("apt-cache", "depends", "linux-image-cloud-amd64").Output()
	if err != nil {
		t.Skipf("needs Debian's cloud kernel: apt-cache: %v", err)
	}
	var name string
	for line := range strings.Lines(string(depends)) {
		if _, after, ok := strings.Cut(line, "Depends: "); ok && name == "" {
			name = strings.TrimSpace(after)
		}
	}
	dir := t.TempDir()
	download := exec.Command("apt-get", "download", name)
	download.Dir = dir
	if out, err := download.CombinedOutput(); err != nil {
		t.Skipf("needs Debian's cloud kernel: apt-get download %s: %v: %s", name, err, out)
	}
	debs, _ := filepath.Glob(dir + "/*.deb")
	if len(debs) != 1 {
		t.Fatalf("downloaded %v", debs)
	}
	must(t, os.MkdirAll(tree, 0o755))
	must(t, exec.Command("dpkg-deb", "-x", debs[0], tree).Run())
	return tree
}

// initrd is a cpio archive (newc) of busybox, modules and the script above.
func initrd(t testing.TB, tree string) []byte {
	t.Helper()
	var out bytes.Buffer
	add := func(name string, mode int, body []byte) {
		fmt.Fprintf(&out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(name)+1, 0)
		out.WriteString(name + "\x00")
		for out.Len()%4 != 0 {
			out.WriteByte(0)
		}
		out.Write(body)
		for out.Len()%4 != 0 {
			out.WriteByte(0)
		}
	}
	for _, dir := range []string{"bin", "dev", "proc", "tmp"} {
		add(dir, 0o40755, nil)
	}
	busybox, err := os.ReadFile("/bin/busybox")
	must(t, err)
	add("bin/busybox", 0o100755, busybox)
	var names []string
	for _, m := range guestModules {
		found, _ := filepath.Glob(tree + "/lib/modules/*/kernel/" + m + ".ko")
		if len(found) != 1 {
			t.Fatalf("module %s: %v", m, found)
		}
		body, err := os.ReadFile(found[0])
		must(t, err)
		add(filepath.Base(m)+".ko", 0o100644, body)
		names = append(names, filepath.Base(m))
	}
	add("init", 0o100755, fmt.Appendf(nil, guestInit, strings.Join(names, " ")))
	add("TRAILER!!!", 0, nil)
	return out.Bytes()
}

// sandbox makes a sandbox's directory as node-agent does.
func (w *world) sandbox(id string, slot int) string {
	w.t.Helper()
	dir := filepath.Join(w.dir, "sandboxes", id)
	must(w.t, os.Mkdir(dir, 0o750))
	disk, err := os.Create(filepath.Join(dir, "disk.ext4"))
	must(w.t, err)
	must(w.t, disk.Truncate(1<<20))
	must(w.t, disk.Close())
	// For those that start from their own memory: here to have it in a file, not to go on from it.
	must(w.t, os.WriteFile(filepath.Join(dir, "state"), nil, 0o644))
	must(w.t, os.Chown(dir, agentUID, agentGID))
	must(w.t, os.Chown(disk.Name(), agentUID, agentGID))
	w.ok("sandbox.prepare", map[string]any{"slot": slot, "sandbox": id, "files": []string{"disk.ext4"}})
	return dir
}

// qemuArgs is the command line of the protocol.
func qemuArgs(memPath, share string, incoming bool) []string {
	args := []string{
		"-nodefaults", "-no-user-config", "-nographic", "-no-reboot",
		"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
		"-cpu", "max,la57=off,erms=off,fsrm=off,smap=off,pku=off", "-smp", "1", "-m", fmt.Sprint(memoryMiB), "-machine", "pc,graphics=off,memory-backend=m0", "-accel", "tcg,tb-size=96",
		"-object", fmt.Sprintf("memory-backend-file,id=m0,size=%dM,mem-path=%s,share=%s", memoryMiB, memPath, share),
		"-kernel", "/image/vmlinuz", "-initrd", "/image/initrd",
		"-append", "console=ttyS0 quiet panic=-1 reboot=t random.trust_cpu=on tsc=reliable mitigations=off",
		"-drive", "if=none,id=root,file=/image/rootfs.erofs,format=raw,readonly=on,file.locking=off", "-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=disk,file=/sandbox/disk.ext4,format=raw", "-device", "virtio-blk-pci,drive=disk",
		"-netdev", "tap,id=n0,fd=3", "-device", "virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:15,romfile=",
		"-qmp", "unix:/sandbox/qmp.sock,server=on,wait=off", "-serial", "file:/sandbox/serial.log",
	}
	if incoming {
		args = append(args, "-incoming", "defer")
	}
	return args
}

func startRequest(slot int, sandbox string, template bool) map[string]any {
	r := map[string]any{
		"slot": slot, "sandbox": sandbox, "driver": "qemu", "image": imageDigest, "memory_mib": memoryMiB, "vcpus": 1,
	}
	if template {
		r["template"] = templateDigest
		r["args"] = qemuArgs("/proc/self/fd/4", "off", true)
	} else {
		r["template"], r["own"] = "", true
		r["args"] = qemuArgs("/sandbox/ram", "on", false)
	}
	return r
}

type process struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"`
}

func (w *world) startVMM(slot int, sandbox string, template bool) process {
	w.t.Helper()
	var p process
	must(w.t, json.Unmarshal(w.ok("vmm.start", startRequest(slot, sandbox, template)), &p))
	return p
}

// qmp is the machine protocol, as node-agent will speak it.
type qmp struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

func (w *world) qmp(sandboxDir string) *qmp {
	w.t.Helper()
	var c net.Conn
	w.eventually("QMP answers", func() (ok bool) {
		var err error
		c, err = net.Dial("unix", filepath.Join(sandboxDir, "qmp.sock"))
		return err == nil
	})
	w.t.Cleanup(func() { c.Close() })
	q := &qmp{w.t, c, bufio.NewReader(c)}
	_, err := q.in.ReadBytes('\n')
	must(w.t, err)
	q.do("qmp_capabilities", nil)
	return q
}

func (q *qmp) do(command string, arguments map[string]any) json.RawMessage {
	q.t.Helper()
	must(q.t, q.conn.SetDeadline(time.Now().Add(patience)))
	r := map[string]any{"execute": command}
	if arguments != nil {
		r["arguments"] = arguments
	}
	text, err := json.Marshal(r)
	must(q.t, err)
	_, err = q.conn.Write(append(text, '\n'))
	must(q.t, err)
	for {
		line, err := q.in.ReadBytes('\n')
		must(q.t, err)
		var a struct {
			Return json.RawMessage `json:"return"`
			Error  json.RawMessage `json:"error"`
		}
		must(q.t, json.Unmarshal(line, &a))
		if a.Error != nil {
			q.t.Fatalf("%s: %s", command, a.Error)
		}
		if a.Return != nil {
			return a.Return
		}
	}
}

func (q *qmp) status(command string) string {
	q.t.Helper()
	var s struct {
		Status string `json:"status"`
	}
	must(q.t, json.Unmarshal(q.do(command, nil), &s))
	return s.Status
}

// run executes a line in the guest's shell over the link.
func (w *world) run(slot int, line string) string {
	w.t.Helper()
	var out []byte
	w.eventually("the guest answers", func() bool {
		c, err := net.Dial("unix", fmt.Sprintf("%s/run/links/%d.sock", w.dir, slot))
		if err != nil {
			return false
		}
		defer c.Close()
		must(w.t, c.SetDeadline(time.Now().Add(patience)))
		if _, err := c.Write([]byte(line + "; echo end; exit\n")); err != nil {
			return false
		}
		out, err = io.ReadAll(c)
		return err == nil && bytes.HasSuffix(out, []byte("end\n"))
	})
	return strings.TrimSuffix(string(out), "end\n")
}

var shared = map[string]any{"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}}}

// makeTemplate boots a guest, stops it and leaves RAM and state where templates lie.
func (w *world) makeTemplate() {
	t := w.t
	t.Helper()
	w.image()
	w.ok("slot.create", slotArgs{1})
	dir := w.sandbox("sb-maker", 1)
	w.startVMM(1, "sb-maker", false)
	if got := w.run(1, "echo hello"); got != "hello\n" {
		t.Fatalf("the guest said %q", got)
	}
	state, err := net.Listen("unix", filepath.Join(dir, "state.sock"))
	must(t, err)
	defer state.Close()
	must(t, os.Chmod(filepath.Join(dir, "state.sock"), 0o666))
	received := make(chan []byte, 1)
	go func() {
		c, err := state.Accept()
		if err != nil {
			received <- nil
			return
		}
		defer c.Close()
		text, _ := io.ReadAll(c)
		received <- text
	}()
	q := w.qmp(dir)
	q.do("stop", nil)
	q.do("migrate-set-capabilities", shared)
	q.do("migrate", map[string]any{"uri": "unix:/sandbox/state.sock"})
	w.eventually("the state is written", func() bool {
		status := q.status("query-migrate")
		if status == "failed" {
			t.Fatal("migration failed")
		}
		return status == "completed"
	})
	w.ok("vmm.stop", slotArgs{1})
	text := <-received
	if len(text) < 4 || binary.BigEndian.Uint32(text) != 0x5145564d {
		t.Fatalf("state of %d bytes", len(text))
	}
	to := filepath.Join(w.dir, "templates", templateDigest)
	must(t, os.Mkdir(to, 0o755))
	must(t, os.WriteFile(filepath.Join(to, "state"), text, 0o644))
	must(t, os.Rename(filepath.Join(dir, "ram"), filepath.Join(to, "ram")))
}

// restore starts a clone and lets it run.
func (w *world) restore(slot int, id string) (process, string) {
	w.t.Helper()
	w.ok("slot.create", slotArgs{slot})
	dir := w.sandbox(id, slot)
	p := w.startVMM(slot, id, true)
	q := w.qmp(dir)
	q.do("migrate-set-capabilities", shared)
	q.do("migrate-incoming", map[string]any{"uri": "fd:5"})
	w.eventually("restored", func() bool { return q.status("query-status") != "inmigrate" })
	q.do("cont", nil)
	must(w.t, q.conn.Close())
	return p, dir
}
