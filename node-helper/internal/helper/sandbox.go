package helper

import (
	"fmt"
	"os"

	"cofferdam.dev/node-helper/internal/safepath"
	"cofferdam.dev/node-helper/internal/wire"
	"golang.org/x/sys/unix"
)

// sandboxPrepare gives a sandbox's directory and the named files in it to the slot's VMM. node-agent owns the surroundings and may be taken over, so each
// thing is opened once, judged by its descriptor, and given away only if it was node-agent's or a VMM's before.
func (h *Helper) sandboxPrepare(a *prepareArgs) (any, error) {
	unlock, err := h.lock(a.Slot)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := matches("sandbox", sandboxID, a.Sandbox); err != nil {
		return nil, err
	}
	if len(a.Files) > maxFiles {
		return nil, wire.Errorf(wire.Invalid, "%d files, expected at most %d", len(a.Files), maxFiles)
	}
	for _, name := range a.Files {
		if err := matches("file", fileName, name); err != nil {
			return nil, err
		}
	}
	root, err := safepath.OpenDir(h.config.SandboxRoot)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, stat, err := h.openSandbox(root, a.Sandbox)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := h.mayGive(a.Slot, dir, stat); err != nil {
		return nil, err
	}
	// All files are judged before the first is changed.
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	for _, name := range a.Files {
		f, stat, err := safepath.OpenRegular(dir, name, unix.O_RDONLY, 0)
		if err != nil {
			return nil, invalidPath(err)
		}
		files = append(files, f)
		if err := h.mayGive(a.Slot, f, stat); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := h.give(a.Slot, f, 0o660); err != nil {
			return nil, err
		}
	}
	return none{}, h.give(a.Slot, dir, unix.S_ISGID|0o770)
}

func (h *Helper) openSandbox(root *os.File, id string) (*os.File, unix.Stat_t, error) {
	var stat unix.Stat_t
	dir, err := safepath.OpenAt(root, id, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, stat, invalidPath(err)
	}
	if err := unix.Fstat(int(dir.Fd()), &stat); err != nil {
		dir.Close()
		return nil, stat, err
	}
	return dir, stat, nil
}

func invalidPath(err error) error {
	if missing := missing(err); missing != err {
		return missing
	}
	return wire.Errorf(wire.Invalid, "%v", err)
}

// mayGive refuses what was never node-agent's to give (away, or to another slot), and what a live VMM of another slot still uses.
func (h *Helper) mayGive(slot int, f *os.File, stat unix.Stat_t) error {
	owner := int(stat.Uid)
	switch {
	case owner == h.config.AgentUID || owner == h.config.VMMUID(slot):
		return nil
	case owner > h.config.VMMUIDBase && owner <= h.config.VMMUID(h.config.MaxSlots):
		other, err := h.owner(owner - h.config.VMMUIDBase)
		if err != nil {
			return err
		}
		live, err := other.Find()
		if err != nil {
			return err
		}
		if len(live) > 0 {
			return wire.Errorf(wire.Exists, "%s belongs to uid %d, which has a live VMM", f.Name(), owner)
		}
		return nil
	default:
		return wire.Errorf(wire.Invalid, "%s belongs to uid %d, expected node-agent or a VMM", f.Name(), owner)
	}
}

func (h *Helper) give(slot int, f *os.File, mode uint32) error {
	fd := int(f.Fd())
	if err := unix.Fchown(fd, h.config.VMMUID(slot), h.config.AgentGID); err != nil {
		return fmt.Errorf("chown %s: %w", f.Name(), err)
	}
	// After chown, which clears the setgid bit.
	if err := unix.Fchmod(fd, mode); err != nil {
		return fmt.Errorf("chmod %s: %w", f.Name(), err)
	}
	return nil
}
