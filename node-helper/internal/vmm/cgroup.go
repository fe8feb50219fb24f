package vmm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits bound one VMM.
type Limits struct {
	MemoryMiB int
	VCPUs     int
	// What the memory that it shares with other clones has no pages for yet. Whoever touches such a page first is charged for it, and for its own copy
	// of it besides once it writes.
	SharedBytes int64
	// "major:minor" of the disk whose use is limited, or empty.
	Disk string
}

const (
	// Beyond the guest's RAM: QEMU's own heap, its translation cache, page tables.
	memoryOverheadMiB = 256
	// Beyond one thread per vCPU: main loop, RCU, up to 64 I/O workers.
	extraTasks = 96

	// Each way, of the disk that the sandboxes lie on: one VMM leaves others their share of any disk that is in use today.
	ioBytesPerSecond = 256 << 20
	ioPerSecond      = 8192

	cgroupRoot   = "/sys/fs/cgroup"
	cpuPeriodUs  = 100_000
	removeWithin = 2 * time.Second
)

// Cgroups places VMMs under limits: v2 where its controllers are there, else those v1 hierarchies that are.
type Cgroups struct {
	root string
	mesh string
}

// NewCgroups makes no change to the system.
func NewCgroups(mesh string) *Cgroups { return &Cgroups{cgroupRoot, mesh} }

type cgroupFile struct {
	name, value string
	optional    bool
}

// group is a slot's directory in one hierarchy, with what goes into it.
type group struct {
	dir   string
	files []cgroupFile
}

func (c *Cgroups) unified() bool {
	text, err := os.ReadFile(filepath.Join(c.root, "cgroup.controllers"))
	if err != nil {
		return false
	}
	have := strings.Fields(string(text))
	for _, want := range []string{"cpu", "memory", "pids"} {
		found := false
		for _, h := range have {
			found = found || h == want
		}
		if !found {
			return false
		}
	}
	return true
}

func (c *Cgroups) meshDir(hierarchy string) string {
	return filepath.Join(c.root, hierarchy, "cofferdam", c.mesh)
}

func (c *Cgroups) groups(slot int, l Limits) []group {
	name := "s" + strconv.Itoa(slot)
	bytes := strconv.FormatInt(int64(l.MemoryMiB+memoryOverheadMiB)<<20+l.SharedBytes, 10)
	// Half a CPU more than the guest has, for QEMU's own threads.
	quota := strconv.Itoa(l.VCPUs*cpuPeriodUs + cpuPeriodUs/2)
	tasks := strconv.Itoa(l.VCPUs + extraTasks)
	if c.unified() {
		files := []cgroupFile{
			{"memory.max", bytes, false}, {"memory.swap.max", "0", true}, {"memory.oom.group", "1", true},
			{"cpu.max", quota + " " + strconv.Itoa(cpuPeriodUs), false}, {"pids.max", tasks, false},
		}
		if l.Disk != "" {
			// Not every disk can be throttled.
			files = append(files, cgroupFile{"io.max", fmt.Sprintf("%s rbps=%d wbps=%d riops=%d wiops=%d", l.Disk, ioBytesPerSecond, ioBytesPerSecond, ioPerSecond, ioPerSecond), true})
		}
		return []group{{filepath.Join(c.meshDir(""), name), files}}
	}
	var throttle []cgroupFile
	if l.Disk != "" {
		for file, most := range map[string]int{
			"read_bps_device": ioBytesPerSecond, "write_bps_device": ioBytesPerSecond, "read_iops_device": ioPerSecond, "write_iops_device": ioPerSecond,
		} {
			throttle = append(throttle, cgroupFile{"blkio.throttle." + file, fmt.Sprintf("%s %d", l.Disk, most), true})
		}
	}
	return []group{
		{filepath.Join(c.meshDir("memory"), name), []cgroupFile{
			{"memory.limit_in_bytes", bytes, false}, {"memory.swappiness", "0", true},
		}},
		// CFS bandwidth is a build option of the kernel; shares then still hold VMMs to their proportion.
		{filepath.Join(c.meshDir("cpu"), name), []cgroupFile{
			{"cpu.shares", strconv.Itoa(l.VCPUs * 1024), true},
			{"cpu.cfs_period_us", strconv.Itoa(cpuPeriodUs), true}, {"cpu.cfs_quota_us", quota, true},
		}},
		{filepath.Join(c.meshDir("pids"), name), []cgroupFile{{"pids.max", tasks, false}}},
		// Of writes v1 sees those alone that go around the page cache.
		{filepath.Join(c.meshDir("blkio"), name), throttle},
	}
}

// Place creates the slot's groups and moves the process into them.
func (c *Cgroups) Place(slot, pid int, l Limits) error {
	if c.unified() {
		if err := c.delegate(); err != nil {
			return err
		}
	}
	for _, g := range c.groups(slot, l) {
		if _, err := os.Stat(hierarchyOf(g.dir)); errors.Is(err, os.ErrNotExist) {
			continue // this controller is not here
		}
		if err := os.MkdirAll(g.dir, 0o755); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
		for _, f := range append(g.files, cgroupFile{"cgroup.procs", strconv.Itoa(pid), false}) {
			err := os.WriteFile(filepath.Join(g.dir, f.name), []byte(f.value), 0)
			if err != nil && !f.optional {
				return fmt.Errorf("cgroup %s: %w", f.name, err)
			}
		}
	}
	return nil
}

// The hierarchy's mount lies three levels above a slot's group: cofferdam/<mesh>/s<n>.
func hierarchyOf(dir string) string { return filepath.Dir(filepath.Dir(filepath.Dir(dir))) }

func (c *Cgroups) delegate() error {
	mesh := c.meshDir("")
	if err := os.MkdirAll(mesh, 0o755); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	for _, dir := range []string{c.root, filepath.Dir(mesh), mesh} {
		control := filepath.Join(dir, "cgroup.subtree_control")
		// A kernel without it, or a parent that does not hand it down, costs this limit alone.
		_ = os.WriteFile(control, []byte("+io"), 0)
		if err := os.WriteFile(control, []byte("+cpu +memory +pids"), 0); err != nil {
			return fmt.Errorf("cgroup: %w", err)
		}
	}
	return nil
}

// Members lists the processes in the slot's groups.
func (c *Cgroups) Members(slot int) []int {
	seen := map[int]bool{}
	var pids []int
	for _, g := range c.groups(slot, Limits{}) {
		text, err := os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for _, line := range bytes.Fields(text) {
			if pid, err := strconv.Atoi(string(line)); err == nil && !seen[pid] {
				seen[pid] = true
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Slots lists the slots that have groups, whether or not anything else of them is left.
func (c *Cgroups) Slots() []int {
	seen := map[int]bool{}
	var slots []int
	for _, g := range c.groups(0, Limits{}) {
		entries, err := os.ReadDir(filepath.Dir(g.dir))
		if err != nil {
			continue
		}
		for _, e := range entries {
			digits, ok := strings.CutPrefix(e.Name(), "s")
			if slot, err := strconv.Atoi(digits); ok && err == nil && !seen[slot] {
				seen[slot] = true
				slots = append(slots, slot)
			}
		}
	}
	return slots
}

// Remove deletes the slot's groups once their last process has been reaped. Idempotent.
func (c *Cgroups) Remove(slot int) error {
	var problems []error
	for _, g := range c.groups(slot, Limits{}) {
		problems = append(problems, removeGroup(g.dir))
	}
	return errors.Join(problems...)
}

// RemoveMesh deletes the mesh's own, empty groups.
func (c *Cgroups) RemoveMesh() error {
	var problems []error
	for _, g := range c.groups(0, Limits{}) {
		problems = append(problems, removeGroup(filepath.Dir(g.dir)))
		// Shared by all meshes of the host: goes with the last.
		_ = unix.Rmdir(filepath.Dir(filepath.Dir(g.dir)))
	}
	return errors.Join(problems...)
}

func removeGroup(dir string) error {
	deadline := time.Now().Add(removeWithin)
	for {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, unix.ENOENT) {
			return nil
		}
		// A killed process counts until its parent, possibly init, has reaped it. The kernel sends no event that v1 and v2 share.
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return fmt.Errorf("remove cgroup %s: %w", dir, err)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
