package vmm

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// tick is the unit of times in /proc: USER_HZ, which is 100 on every architecture that Linux runs VMs on.
const tick = 10 * time.Millisecond

// Usage is what the owner's processes have used: processor time since they began, and the memory that counts towards
// their limit at the moment.
func (o *Owner) Usage() (time.Duration, uint64, error) {
	// Not all of /proc: this is asked for every slot, over and over.
	pids := o.Cgroups.Members(o.Slot)
	if len(pids) == 0 {
		var err error
		if pids, err = o.Find(); err != nil {
			return 0, 0, err
		}
	}
	var cpu time.Duration
	var resident uint64
	for _, pid := range pids {
		if s, ok := readStatus(pid); !ok || s.uid != o.UID {
			continue // Ended meanwhile, or still on its way into the jail.
		}
		cpu += cpuTime(pid)
		resident += residentBytes(pid)
	}
	if memory, ok := o.Cgroups.memory(o.Slot); ok {
		return cpu, memory, nil
	}
	return cpu, resident, nil
}

// memory is what the slot's group is charged with; none where no memory controller is there.
func (c *Cgroups) memory(slot int) (uint64, bool) {
	path := filepath.Join(c.meshDir("memory"), "s"+strconv.Itoa(slot), "memory.usage_in_bytes")
	if c.unified() {
		path = filepath.Join(c.meshDir(""), "s"+strconv.Itoa(slot), "memory.current")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	value, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	return value, err == nil
}

// cpuTime reads fields 14 and 15 of /proc/pid/stat. Zero for a process that is gone.
func cpuTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseUint(string(fields[11]), 10, 64)
	system, _ := strconv.ParseUint(string(fields[12]), 10, 64)
	return time.Duration(user+system) * tick
}

// residentBytes reads field 2 of /proc/pid/statm. Zero for a process that is gone.
func residentBytes(pid int) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize())
}
