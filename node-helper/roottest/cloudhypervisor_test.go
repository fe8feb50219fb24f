//go:build cloudhypervisor

package roottest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The real Cloud Hypervisor in the helper's jail. It needs /dev/kvm to open; no guest runs, so it need not be good for more.

const chSandbox = "sb-ch"

type chWorld struct {
	*world
	pid    int
	client *http.Client
}

func chArguments() []string {
	return []string{"--api-socket", "fd=3", "--event-monitor", "fd=5", "--seccomp", "true"}
}

func chStart() map[string]any {
	return map[string]any{
		"slot": 1, "sandbox": chSandbox, "driver": "cloud-hypervisor", "args": chArguments(), "template": "", "image": "", "memory_mib": 128,
		"vcpus": 1, "own": false,
	}
}

func newCloudHypervisor(t *testing.T) *chWorld {
	needRoot(t)
	if os.Getenv("COFFERDAM_CLOUD_HYPERVISOR") == "" {
		t.Fatal("COFFERDAM_CLOUD_HYPERVISOR names no binary")
	}
	w := newWorld(t)
	w.ok("slot.create", slotArgs{1})
	dir := filepath.Join(w.dir, "sandboxes", chSandbox)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, agentUID, agentGID))
	disk := filepath.Join(dir, "disk.ext4")
	must(t, os.WriteFile(disk, make([]byte, 1<<20), 0o600))
	must(t, os.Chown(disk, agentUID, agentGID))
	w.ok("sandbox.prepare", map[string]any{"slot": 1, "sandbox": chSandbox, "files": []string{"disk.ext4"}})
	var p struct {
		PID int `json:"pid"`
	}
	must(t, json.Unmarshal(w.ok("vmm.start", chStart()), &p))
	socket := filepath.Join(dir, "ch.sock")
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	c := &chWorld{w, p.PID, client}
	w.eventually("the API answers", func() bool { return c.api("GET", "vmm.ping", "").status == http.StatusOK })
	return c
}

type apiAnswer struct {
	status int
	body   string
}

func (c *chWorld) api(method, call, body string) apiAnswer {
	c.t.Helper()
	r, err := http.NewRequest(method, "http://localhost/api/v1/"+call, strings.NewReader(body))
	must(c.t, err)
	a, err := c.client.Do(r)
	if err != nil {
		return apiAnswer{0, err.Error()}
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	must(c.t, err)
	return apiAnswer{a.StatusCode, string(text)}
}

func (c *chWorld) done(call, body string) {
	c.t.Helper()
	if a := c.api("PUT", call, body); a.status != http.StatusNoContent {
		c.t.Fatalf("%s: %d %s", call, a.status, a.body)
	}
}

// landlockUsable says whether the kernel has the Landlock that Cloud Hypervisor insists on: its third interface, of Linux 6.2.
func landlockUsable() bool {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0 && int(abi) >= 3
}

// chMachine is a description whose only disk is the path.
func chMachine(path string) string {
	return fmt.Sprintf(`{"cpus":{"boot_vcpus":1,"max_vcpus":1,"nested":false},"memory":{"size":134217728},"payload":{"kernel":"/sandbox/disk.ext4"},
		"disks":[{"id":"disk","path":%q,"image_type":"Raw"}],"net":[{"id":"net0","tap":"tap0","mac":"02:cf:00:00:00:15"}],
		"serial":{"mode":"Null"},"console":{"mode":"Off"},"landlock_enable":%v,"landlock_rules":[{"path":"/sandbox","access":"rw"}]}`, path, landlockUsable())
}

func TestCloudHypervisorIsJailed(t *testing.T) {
	c := newCloudHypervisor(t)
	for field, want := range map[string]string{
		"Uid": strings.TrimSpace(strings.Repeat(strconv.Itoa(vmmUIDBase+1)+" ", 4)), "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Groups": "",
	} {
		if got := statusOf(t, c.pid, field); got != want {
			t.Errorf("%s is %q, expected %q", field, got, want)
		}
	}
	// The first thread waits for the others; each of those that serve has a filter.
	filtered := 0
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", c.pid))
	must(t, err)
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		must(t, err)
		if strings.Contains(string(text), "\nSeccomp:\t2\n") {
			filtered++
		}
	}
	if filtered < 2 {
		t.Errorf("%d of %d threads have a seccomp filter", filtered, len(tasks))
	}
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/root/dev", c.pid))
	must(t, err)
	var devices []string
	for _, e := range entries {
		devices = append(devices, e.Name())
	}
	if want := []string{"kvm", "net", "null", "urandom", "zero"}; !slices.Equal(devices, want) {
		t.Errorf("/dev holds %v, expected %v", devices, want)
	}
	for _, fd := range []int{4, 6, 7, 8} {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.pid, fd))
		if err == nil && (strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/dev/kvm") && !strings.HasPrefix(target, "/sandbox/ch-")) {
			t.Errorf("descriptor %d is %s", fd, target)
		}
	}
}

// What node-agent asks for over the API is no more checked than what it is: the jail has to hold by itself.
func TestCloudHypervisorReachesNothingElse(t *testing.T) {
	c := newCloudHypervisor(t)
	// The control: with all within the jail it fails at the kernel, which is none. What follows has to fail earlier.
	c.done("vm.create", chMachine("/sandbox/disk.ext4"))
	control := c.api("PUT", "vm.boot", "")
	if control.status != http.StatusInternalServerError || !strings.Contains(control.body, "ernel") {
		t.Fatalf("without a kernel: %d %s", control.status, control.body)
	}
	c.done("vm.delete", "")
	other := filepath.Join(c.dir, "sandboxes", "sb-other")
	must(t, os.Mkdir(other, 0o777))
	for _, path := range []string{"/etc/shadow", "/proc/1/root/etc/shadow", filepath.Join(other, "disk.ext4"), "/dev/mem", "/dev/sda", "/sandbox/../etc/shadow", "/proc/kcore"} {
		c.done("vm.create", chMachine(path))
		if a := c.api("PUT", "vm.boot", ""); a.status != http.StatusInternalServerError || strings.Contains(a.body, "panicked") || a.body == control.body {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
		c.done("vm.delete", "")
	}
	// Another tap of the slot's namespace, and one that is not there: it can neither take nor make one.
	for _, tap := range []string{"up0", "tap1"} {
		c.done("vm.create", strings.Replace(chMachine("/sandbox/disk.ext4"), "tap0", tap, 1))
		if a := c.api("PUT", "vm.boot", ""); a.status != http.StatusInternalServerError || a.body == control.body {
			t.Errorf("tap %s: %d %s", tap, a.status, a.body)
		}
		c.done("vm.delete", "")
	}
}

func TestCloudHypervisorsLineIsHeldToTheList(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.ok("slot.create", slotArgs{1})
	dir := filepath.Join(w.dir, "sandboxes", chSandbox)
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.Chown(dir, agentUID, agentGID))
	w.ok("sandbox.prepare", map[string]any{"slot": 1, "sandbox": chSandbox, "files": []string{}})
	for _, more := range []string{"--kernel", "--log-file", "--seccomp", "--api-socket", "--gdb"} {
		start := chStart()
		start["args"] = append(chArguments(), more, "/sandbox/x")
		w.refused("invalid", "vmm.start", start)
	}
	start := chStart()
	start["driver"] = "firecracker"
	w.refused("invalid", "vmm.start", start)
	if pid := w.vmmPID(1); pid != 0 {
		t.Errorf("pid %d runs", pid)
	}
}
