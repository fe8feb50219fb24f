package helper

import (
	"errors"
	"io"
	"os"

	"cofferdam.dev/node-helper/internal/safepath"
	"cofferdam.dev/node-helper/internal/wire"
	"golang.org/x/sys/unix"
)

// maxCounted bounds what is looked at in a directory that a VMM fills.
const maxCounted = 256

type usageArgs struct {
	Slot    int    `json:"slot"`
	Sandbox string `json:"sandbox"`
}

type usage struct {
	CPUNanos       int64  `json:"cpu_ns"`
	MemoryBytes    uint64 `json:"memory_bytes"`
	DiskBytes      uint64 `json:"disk_bytes"`
	FromGuestBytes uint64 `json:"from_guest_bytes"`
	ToGuestBytes   uint64 `json:"to_guest_bytes"`
}

// slotUsage reads and changes nothing. It takes no lock: a start must not wait for somebody who only looks.
func (h *Helper) slotUsage(a *usageArgs) (any, error) {
	if !h.config.ValidSlot(a.Slot) {
		return nil, wire.Errorf(wire.Invalid, "slot %d, expected 1 to %d", a.Slot, h.config.MaxSlots)
	}
	if err := matches("sandbox", sandboxID, a.Sandbox); err != nil {
		return nil, err
	}
	traffic, err := h.network.SlotTraffic(a.Slot)
	if err != nil {
		return nil, missing(err)
	}
	o, err := h.owner(a.Slot)
	if err != nil {
		return nil, err
	}
	cpu, memory, err := o.Usage()
	if err != nil {
		return nil, err
	}
	disk, err := h.diskUsage(a.Sandbox)
	if err != nil {
		return nil, err
	}
	return usage{cpu.Nanoseconds(), memory, disk, traffic.FromGuest, traffic.ToGuest}, nil
}

// diskUsage is what the plain files of a sandbox's directory occupy. Links are counted as what they are, not followed.
func (h *Helper) diskUsage(sandbox string) (uint64, error) {
	root, err := safepath.OpenDir(h.config.SandboxRoot)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	dir, _, err := h.openSandbox(root, sandbox)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(maxCounted)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	var blocks int64
	for _, name := range names {
		var stat unix.Stat_t
		err := unix.Fstatat(int(dir.Fd()), name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if stat.Mode&unix.S_IFMT == unix.S_IFREG {
			blocks += stat.Blocks
		}
	}
	return uint64(blocks) * 512, nil
}
