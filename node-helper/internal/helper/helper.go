// Package helper is the closed list of verbs and what each does. Start at New and verbs.go.
package helper

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"cofferdam.dev/node-helper/internal/config"
	"cofferdam.dev/node-helper/internal/drops"
	"cofferdam.dev/node-helper/internal/link"
	"cofferdam.dev/node-helper/internal/netspace"
	"cofferdam.dev/node-helper/internal/network"
	"cofferdam.dev/node-helper/internal/template"
	"cofferdam.dev/node-helper/internal/vmm"
)

const wordsWithin = time.Second

// Helper serves one mesh on one host. What it holds (readers, relays, loaded templates) it can make again from the kernel's state.
type Helper struct {
	config    *config.Config
	log       *slog.Logger
	network   *network.Network
	drops     *drops.Hub
	cgroups   *vmm.Cgroups
	templates *template.Store

	slotMu []sync.Mutex
	// The VMM that this process started in a slot, under the slot's lock.
	running []*running

	volumesMu sync.Mutex

	linksMu sync.Mutex
	links   map[int]*link.Relay
}

// New makes no change to the system.
func New(c *config.Config, log *slog.Logger) *Helper {
	return &Helper{
		config: c, log: log,
		network:   network.New(c.Mesh, c.Prefix(), c.Address, c.VMMUID),
		drops:     drops.NewHub(network.LogGroup, log),
		cgroups:   vmm.NewCgroups(c.Mesh),
		templates: template.NewStore(c.TemplateRoot),
		slotMu:    make([]sync.Mutex, c.MaxSlots+1),
		running:   make([]*running, c.MaxSlots+1),
		links:     map[int]*link.Relay{},
	}
}

// Recover ensures the gate and takes up the slots that an earlier helper left: their links and their drops.
func (h *Helper) Recover() error {
	if err := os.MkdirAll(h.config.LinkRoot, 0o750); err != nil {
		return err
	}
	if err := errors.Join(os.Chown(h.config.LinkRoot, 0, h.config.AgentGID), os.Chmod(h.config.LinkRoot, 0o750)); err != nil {
		return err
	}
	if err := h.ensureGate(); err != nil {
		return err
	}
	slots, err := h.network.Slots()
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if !h.config.ValidSlot(slot) {
			continue
		}
		if err := h.recoverSlot(slot); err != nil {
			h.log.Error("slot_not_recovered", "slot", slot, "error", err)
		}
	}
	return nil
}

// recoverSlot brings a whole slot to the present rules: the helper before may have been of another version, or somebody meddled.
func (h *Helper) recoverSlot(slot int) error {
	whole, err := h.network.SlotIsWhole(slot)
	if err != nil || !whole {
		return err
	}
	// What fails leaves the rules that were: the slot is no less closed, and its guest must stay within reach.
	return errors.Join(h.network.RenewRules(slot), h.attend(slot))
}

func (h *Helper) ensureGate() error {
	made, err := h.network.EnsureGate()
	if err != nil {
		return err
	}
	if made {
		// A reader of a gate that somebody removed would hear nothing for ever.
		h.drops.Forget(netspace.Path(h.network.GateName()))
	}
	gate, err := h.network.OpenGate()
	if err != nil {
		return err
	}
	defer gate.Close()
	return h.drops.Follow(gate.Name(), gate, h.network.GateSlots())
}

// attend starts what serves a whole slot from the host's side. Idempotent.
func (h *Helper) attend(slot int) error {
	ns, err := h.network.OpenSlot(slot)
	if err != nil {
		return err
	}
	if err := h.drops.Follow(ns.Name(), ns, func(uint32) (int, bool) { return slot, true }); err != nil {
		return errors.Join(err, ns.Close())
	}
	h.linksMu.Lock()
	defer h.linksMu.Unlock()
	if h.links[slot] != nil {
		return ns.Close()
	}
	target := netip.AddrPortFrom(netip.MustParseAddr(network.GuestAddress), network.LinkPort)
	relay, err := link.Start(h.linkPath(slot), h.config.AgentUID, h.config.AgentGID, ns, target, h.log)
	if err != nil {
		return errors.Join(fmt.Errorf("link: %w", err), ns.Close())
	}
	h.links[slot] = relay
	return nil
}

// neglect lets go of the slot's namespace.
func (h *Helper) neglect(slot int) {
	h.drops.Forget(netspace.Path(h.network.SlotName(slot)))
	h.linksMu.Lock()
	relay := h.links[slot]
	delete(h.links, slot)
	h.linksMu.Unlock()
	if relay != nil {
		relay.Close()
	}
}

func (h *Helper) disconnect(slot int) {
	h.linksMu.Lock()
	defer h.linksMu.Unlock()
	if relay := h.links[slot]; relay != nil {
		relay.Disconnect()
	}
}

func (h *Helper) linkPath(slot int) string {
	return filepath.Join(h.config.LinkRoot, strconv.Itoa(slot)+".sock")
}

// owner is what the slot's processes are known by.
func (h *Helper) owner(slot int) (*vmm.Owner, error) {
	o := &vmm.Owner{UID: h.config.VMMUID(slot), Cgroups: h.cgroups, Slot: slot}
	inode, err := h.network.SlotInode(slot)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	o.NetNS = inode
	return o, nil
}

// holds says whether that process, alive, is of the slot.
func (h *Helper) holds(slot, pid int, startTime uint64) (bool, error) {
	o, err := h.owner(slot)
	if err != nil {
		return false, err
	}
	// The other way round the pid could have passed on in between.
	if began, err := vmm.StartTime(pid); err != nil || began != startTime {
		return false, nil
	}
	return o.Owns(pid), nil
}

func (h *Helper) kill(slot int) error {
	o, err := h.owner(slot)
	if err != nil {
		return err
	}
	if err := o.Kill(); err != nil {
		return err
	}
	h.disconnect(slot)
	return h.cgroups.Remove(slot)
}

// running is a VMM as long as its output can be asked for.
type running struct {
	output *vmm.Output
	ended  <-chan struct{}
}

// lastWords are what the slot's VMM, which was killed, said last: nothing if an earlier helper started it.
func (h *Helper) lastWords(slot int) string {
	r := h.running[slot]
	if r == nil {
		return ""
	}
	select {
	case <-r.ended:
	case <-time.After(wordsWithin):
		// Dead and not collected: what came so far has to do.
	}
	return r.output.String()
}

func (h *Helper) destroy(slot int) error {
	if err := h.kill(slot); err != nil {
		return err
	}
	h.neglect(slot)
	if err := h.network.DestroySlot(slot); err != nil {
		return err
	}
	h.drops.Vacate(slot)
	if err := os.Remove(h.linkPath(slot)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Teardown ends everything of the mesh on this host.
func (h *Helper) Teardown() error {
	slots, err := h.network.Slots()
	if err != nil {
		return err
	}
	slots = append(slots, h.cgroups.Slots()...)
	slices.Sort(slots)
	var problems []error
	for _, slot := range slices.Compact(slots) {
		problems = append(problems, h.destroy(slot))
	}
	problems = append(problems, h.network.DestroyGate(), h.cgroups.RemoveMesh())
	for _, path := range []string{h.config.Socket, h.config.LinkRoot} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}
