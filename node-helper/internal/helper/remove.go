package helper

import (
	"errors"
	"os"

	"cofferdam.dev/node-helper/internal/safepath"
	"golang.org/x/sys/unix"
)

// nobody is the slot of a request that is not for one.
const nobody = 0

// sandboxRemove takes a sandbox's directory away, with all that is in it. node-agent could not: what a VMM made there, it may have made for itself
// alone. What was never a sandbox's, or still is a live VMM's, stays.
func (h *Helper) sandboxRemove(a *removeArgs) (any, error) {
	if err := matches("sandbox", sandboxID, a.Sandbox); err != nil {
		return nil, err
	}
	root, err := safepath.OpenDir(h.config.SandboxRoot)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, stat, err := h.openSandbox(root, a.Sandbox)
	if isMissing(err) {
		return none{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if slot := int(stat.Uid) - h.config.VMMUIDBase; h.config.ValidSlot(slot) {
		// No VMM of it may start meanwhile.
		unlock, err := h.lock(slot)
		if err != nil {
			return nil, err
		}
		defer unlock()
	}
	if err := h.mayGive(nobody, dir, stat); err != nil {
		return nil, err
	}
	if err := safepath.Empty(dir); err != nil {
		return nil, err
	}
	if err := unix.Unlinkat(int(root.Fd()), a.Sandbox, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return none{}, nil
}
