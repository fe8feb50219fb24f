package vmm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const killWithin = 10 * time.Second

// Process is a process as the host sees it. The start time (clock ticks since boot) tells it from a later one with its pid.
type Process struct {
	PID       int
	StartTime uint64
	// Ended is closed once it has been collected and all that it said has been read.
	Ended <-chan struct{}
}

// Owner is what makes a process a slot's VMM: the slot's uid, and its namespace or its cgroup. The uid alone would not do: two meshes of
// one host may use the same range.
type Owner struct {
	UID     int
	NetNS   uint64 // inode; 0 if the namespace is gone
	Cgroups *Cgroups
	Slot    int
}

type processStatus struct {
	uid  int
	dead bool
}

func readStatus(pid int) (processStatus, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return processStatus{}, false
	}
	s := processStatus{uid: -1}
	for line := range bytes.Lines(text) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		fields := bytes.Fields(value)
		if len(fields) == 0 {
			continue
		}
		switch string(name) {
		case "State":
			s.dead = fields[0][0] == 'Z' || fields[0][0] == 'X'
		case "Uid":
			// The real uid: the one no process without capabilities can change to another.
			s.uid, _ = strconv.Atoi(string(fields[0]))
			return s, true
		}
	}
	return s, false
}

// StartTime reads field 22 of /proc/pid/stat. The name before it may hold anything, so fields count from its closing bracket.
func StartTime(pid int) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return 0, fmt.Errorf("/proc/%d/stat: no name", pid)
	}
	fields := bytes.Fields(text[end+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

func netNS(pid int) uint64 {
	var stat unix.Stat_t
	if unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &stat) != nil {
		return 0
	}
	return stat.Ino
}

// Owns says whether the process is the owner's and alive.
func (o *Owner) Owns(pid int) bool { return o.owns(pid, o.Cgroups.Members(o.Slot)) }

// owns says whether a live process is this owner's.
func (o *Owner) owns(pid int, members []int) bool {
	s, ok := readStatus(pid)
	if !ok || s.dead || s.uid != o.UID {
		return false
	}
	return o.NetNS != 0 && netNS(pid) == o.NetNS || slices.Contains(members, pid)
}

func allPIDs() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// Find lists the owner's live processes, oldest pid first.
func (o *Owner) Find() ([]int, error) {
	pids, err := allPIDs()
	if err != nil {
		return nil, err
	}
	members := o.Cgroups.Members(o.Slot)
	var found []int
	for _, pid := range pids {
		if o.owns(pid, members) {
			found = append(found, pid)
		}
	}
	return found, nil
}

// Kill ends all processes of the owner and waits until they are dead. Idempotent.
func (o *Owner) Kill() error {
	deadline := time.Now().Add(killWithin)
	for {
		pids, err := o.Find()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := o.killOne(pid, deadline); err != nil {
				return fmt.Errorf("kill %d: %w", pid, err)
			}
		}
	}
}

func (o *Owner) killOne(pid int, deadline time.Time) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// The pid may have passed to another process since Find; from here on the descriptor means one process for good.
	if !o.Owns(pid) {
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return errors.New("still alive")
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			return nil
		}
	}
}
