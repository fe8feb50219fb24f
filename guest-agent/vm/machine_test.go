//go:build vm

package vm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const memory = 512 // MiB

// hypervisor is one QEMU process with its monitor.
type hypervisor struct {
	t       *testing.T
	started time.Time
	process *exec.Cmd
	monitor net.Conn
	lines   *bufio.Reader
}

// launch starts QEMU in a slot, with a disk of its own. A template writes its memory into the file that clones map.
func launch(t *testing.T, s *slot, image, directory, ram, disk string, template bool, volumes ...string) *hypervisor {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(image, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Cmdline string }
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	share, extra := "off", []string{"-incoming", "defer"}
	if template {
		share, extra = "on", nil
	}
	socket := filepath.Join(directory, "qmp")
	arguments := append([]string{
		"-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-cpu", "max,la57=off,erms=off,fsrm=off,smap=off,pku=off", "-smp", "1", "-m", fmt.Sprint(memory),
		"-machine", "pc,accel=tcg,graphics=off,memory-backend=m0",
		"-object", fmt.Sprintf("memory-backend-file,id=m0,size=%dM,mem-path=%s,share=%s", memory, ram, share),
		"-kernel", image + "/vmlinuz", "-initrd", image + "/initrd", "-append", manifest.Cmdline,
		"-drive", "if=none,id=root,format=raw,readonly=on,file.locking=off,file=" + image + "/rootfs.erofs",
		"-device", "virtio-blk-pci,drive=root",
		"-drive", "if=none,id=disk,format=raw,file=" + disk,
		"-device", "virtio-blk-pci,drive=disk",
		"-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no",
		"-device", "virtio-net-pci,netdev=n0,mac=02:cf:00:00:00:15,romfile=",
		"-serial", "file:" + directory + "/serial", "-qmp", "unix:" + socket + ",server=on,wait=off",
	}, extra...)
	for n, file := range volumes {
		arguments = append(arguments, "-drive", fmt.Sprintf("if=none,id=volume%d,format=raw,file=%s", n, file),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=volume%d,serial=volume-%d", n, n))
	}
	h := &hypervisor{t: t, started: time.Now(), process: exec.Command("qemu-system-x86_64", arguments...)}
	h.process.Stderr = os.Stderr
	s.do(func() { err = h.process.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = h.process.Process.Kill()
		_ = h.process.Wait()
		if t.Failed() {
			serial, _ := os.ReadFile(directory + "/serial")
			t.Logf("console:\n%s", serial)
		}
	})
	for h.monitor == nil {
		if h.monitor, err = net.Dial("unix", socket); err != nil && time.Since(h.started) > 10*time.Second {
			t.Fatal(err)
		}
	}
	h.lines = bufio.NewReader(h.monitor)
	if _, err := h.lines.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	h.command("qmp_capabilities", nil)
	return h
}

func (h *hypervisor) command(name string, arguments map[string]any) map[string]any {
	h.t.Helper()
	if arguments == nil {
		arguments = map[string]any{}
	}
	request, err := json.Marshal(map[string]any{"execute": name, "arguments": arguments})
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.monitor.Write(append(request, '\n')); err != nil {
		h.t.Fatal(err)
	}
	for {
		line, err := h.lines.ReadBytes('\n')
		if err != nil {
			h.t.Fatalf("%s: %v", name, err)
		}
		var answer map[string]any
		if err := json.Unmarshal(line, &answer); err != nil {
			h.t.Fatal(err)
		}
		if failure := answer["error"]; failure != nil {
			h.t.Fatalf("%s: %v", name, failure)
		}
		if result, ok := answer["return"]; ok {
			fields, _ := result.(map[string]any)
			return fields
		}
	}
}

func (h *hypervisor) shareMemory() {
	h.command("migrate-set-capabilities", map[string]any{"capabilities": []map[string]any{{"capability": "x-ignore-shared", "state": true}}})
}

// snapshot leaves the state of the devices in a file; the memory is in the RAM file already.
func (h *hypervisor) snapshot(state string) {
	h.command("stop", nil)
	h.shareMemory()
	h.command("migrate-set-parameters", map[string]any{"max-bandwidth": 100_000_000_000})
	h.command("migrate", map[string]any{"uri": "exec:cat > " + state})
	for h.command("query-migrate", nil)["status"] != "completed" {
	}
}

func (h *hypervisor) restore(state string) {
	h.shareMemory()
	h.command("migrate-incoming", map[string]any{"uri": "exec:cat " + state})
	for h.command("query-status", nil)["status"] == "inmigrate" {
	}
	h.command("cont", nil)
}

// privateMemory is what the process has for itself alone, in MiB.
func (h *hypervisor) privateMemory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", h.process.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		var kib int
		if strings.HasPrefix(line, "Private_") {
			_, _ = fmt.Sscan(strings.Fields(line)[1], &kib)
			total += kib
		}
	}
	return total >> 10
}

// copyDisk copies a sparse file and leaves it sparse.
func copyDisk(t *testing.T, from, to string) {
	t.Helper()
	if output, err := exec.Command("cp", "--sparse=always", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	if err := os.Chmod(to, 0o600); err != nil {
		t.Fatal(err)
	}
}

// slot is a network namespace with the tap of one VM. Its thread is the namespace: all that must happen there is done
// by do.
type slot struct{ work chan func() }

func newSlot(t *testing.T) *slot {
	t.Helper()
	s := &slot{work: make(chan func())}
	go s.run()
	t.Cleanup(func() { close(s.work) })
	var err error
	s.do(func() { err = unix.Unshare(unix.CLONE_NEWNET) })
	if err != nil {
		t.Fatalf("a network namespace: %v", err)
	}
	for _, command := range []string{"link set lo up", "tuntap add tap0 mode tap", "addr add 169.254.0.22/30 dev tap0", "link set tap0 up"} {
		s.do(func() {
			var output []byte
			if output, err = exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
				err = fmt.Errorf("ip %s: %w: %s", command, err, output)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *slot) do(work func()) {
	done := make(chan struct{})
	s.work <- func() { defer close(done); work() }
	<-done
}
