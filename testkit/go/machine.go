package ninechecks

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// deadline bounds a run; it asserts nothing about speed.
const deadline = time.Minute

// eventually waits for what other processes do in their own time.
func eventually(what string, probe func() bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(deadline)
	for !probe() {
		select {
		case <-tick.C:
		case <-end:
			return fmt.Errorf("not within %s: %s", deadline, what)
		}
	}
	return nil
}

// withCommand is every process of the machine whose command line holds text, but this one.
func withCommand(text string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), text) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// vmms is every process that has the sandbox's disk open: its VM. In its jail the disk has another name, so the file itself
// is compared.
func (m *mesh) vmms(sandbox string) ([]int, error) {
	disk, err := os.Stat(filepath.Join(m.state, "node", "sandboxes", sandbox, "disk.ext4"))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// A process that ends meanwhile has nothing open.
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, link := range links {
			if file, err := os.Stat(link); err == nil && os.SameFile(file, disk) {
				found = append(found, pid)
				break
			}
		}
	}
	return found, nil
}

// slots are the names of the mesh's slots.
func (m *mesh) slots() ([]string, error) {
	listing, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(listing)) {
		if name, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(name, m.stage+"-s") {
			found = append(found, name)
		}
	}
	return found, nil
}

// markSlot leaves a mark in the network namespace of a process. Names and numbers of slots are used again, and how many there are is the pool's
// affair: the mark is in this one namespace as long as it lives.
func (m *mesh) markSlot(pid int, mark string) error {
	return exec.Command("nsenter", "--net="+fmt.Sprintf("/proc/%d/ns/net", pid), "ip", "link", "set", "dev", "lo", "alias", mark).Run()
}

// marked says whether a slot with the mark is left. One that goes while it is looked at is not.
func (m *mesh) marked(mark string) (bool, error) {
	slots, err := m.slots()
	if err != nil {
		return false, err
	}
	for _, slot := range slots {
		if link, err := exec.Command("ip", "-n", slot, "link", "show", "dev", "lo").Output(); err == nil && strings.Contains(string(link), mark) {
			return true, nil
		}
	}
	return false, nil
}

// received is what the upstream recorded of a request.
type received struct {
	Host    string      `json:"host"`
	Path    string      `json:"path"`
	TLS     bool        `json:"tls"`
	Headers http.Header `json:"headers"`
}

// requests are those that the upstream has received since the offset, and the offset for the next call.
func (m *mesh) requests(since int) ([]received, int, error) {
	record, err := os.ReadFile(filepath.Join(m.upstream, "requests.jsonl"))
	if err != nil {
		return nil, 0, err
	}
	var all []received
	for line := range strings.Lines(string(record[since:])) {
		var request received
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			return nil, 0, err
		}
		all = append(all, request)
	}
	return all, len(record), nil
}

// unexpected counts the packets at the uplink that are not the gateway's own to hosts that policy allows.
func (m *mesh) unexpected() (int, error) {
	listing, err := exec.Command("nsenter", "--net=/run/netns/"+m.stage+"-uplink", "nft", "-j", "list", "counter", "inet", "stage", "unexpected").Output()
	if err != nil {
		return 0, err
	}
	var parsed struct {
		Nftables []struct {
			Counter *struct{ Packets int }
		}
	}
	if err := json.Unmarshal(listing, &parsed); err != nil {
		return 0, err
	}
	for _, item := range parsed.Nftables {
		if item.Counter != nil {
			return item.Counter.Packets, nil
		}
	}
	return 0, fmt.Errorf("no counter in %s", listing)
}

func (m *mesh) pid(process string) (int, error) {
	text, err := os.ReadFile(filepath.Join(m.state, "run", process+".pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// without kills a process and keeps its supervisor from starting it again until the function has returned.
func (m *mesh) without(process string, act func() error) error {
	launcher, err := m.pid("launcher")
	if err != nil {
		return err
	}
	old, err := m.pid(process)
	if err != nil {
		return err
	}
	if err := syscall.Kill(launcher, syscall.SIGSTOP); err != nil {
		return err
	}
	acted := syscall.Kill(old, syscall.SIGKILL)
	if acted == nil {
		acted = act()
	}
	if err := syscall.Kill(launcher, syscall.SIGCONT); err != nil {
		return err
	}
	if acted != nil {
		return acted
	}
	return eventually("a new "+process, func() bool {
		fresh, err := m.pid(process)
		return err == nil && fresh != old && syscall.Kill(fresh, 0) == nil
	})
}
