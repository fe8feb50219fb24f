package helper

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"cofferdam.dev/node-helper/internal/safepath"
	"cofferdam.dev/node-helper/internal/vmm"
	"cofferdam.dev/node-helper/internal/wire"
	"golang.org/x/sys/unix"
)

func checkVolumes(volumes []string) error {
	if len(volumes) > vmm.MaxVolumes {
		return wire.Errorf(wire.Invalid, "%d volumes, expected at most %d", len(volumes), vmm.MaxVolumes)
	}
	for n, volume := range volumes {
		if err := matches("volume", volumeID, volume); err != nil {
			return err
		}
		if slices.Contains(volumes[:n], volume) {
			return wire.Errorf(wire.Invalid, "volume %s named twice", volume)
		}
	}
	return nil
}

// fillVolumes gives the volumes to the slot's VMM, which has no process yet. All are judged before the first is changed.
func (h *Helper) fillVolumes(j *vmm.Jail, a *startArgs, opened *closers) error {
	root, err := safepath.OpenDir(h.config.VolumeRoot)
	if err != nil {
		return err
	}
	opened.add(root)
	for _, name := range a.Volumes {
		f, stat, err := safepath.OpenRegular(root, name, unix.O_RDONLY, 0)
		if err != nil {
			return invalidPath(err)
		}
		j.Volumes = append(j.Volumes, opened.add(f))
		if err := h.volumeIsFree(name, stat); err != nil {
			return err
		}
	}
	for _, f := range j.Volumes {
		if err := h.give(a.Slot, f, 0o660); err != nil {
			return err
		}
	}
	return nil
}

// volumeIsFree holds a volume to one writer. Its owner is the VMM that had it last; the slot may have a VMM of another
// sandbox by now, so what counts is whether that one's jail shows this very file.
func (h *Helper) volumeIsFree(name string, stat unix.Stat_t) error {
	owner := int(stat.Uid)
	if owner == h.config.AgentUID {
		return nil
	}
	slot := owner - h.config.VMMUIDBase
	if !h.config.ValidSlot(slot) {
		return wire.Errorf(wire.Invalid, "volume %s belongs to uid %d, expected node-agent or a VMM", name, owner)
	}
	o, err := h.owner(slot)
	if err != nil {
		return err
	}
	live, err := o.Find()
	if err != nil {
		return err
	}
	for _, pid := range live {
		if shows(pid, stat) {
			return wire.Errorf(wire.Exists, "volume %s is in use by the VMM of slot %d", name, slot)
		}
	}
	return nil
}

// shows says whether a VMM's jail holds the file. A jail that cannot be looked into does, if its process lives.
func shows(pid int, stat unix.Stat_t) bool {
	entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/volume/*", pid))
	if err != nil {
		return true
	}
	for _, entry := range entries {
		var seen unix.Stat_t
		if err := unix.Stat(entry, &seen); err == nil && seen.Ino == stat.Ino && seen.Dev == stat.Dev {
			return true
		}
	}
	_, err = os.Stat(fmt.Sprintf("/proc/%d/root/sandbox", pid))
	return err != nil && !os.IsNotExist(err)
}
