package helper

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"

	"cofferdam.dev/node-helper/internal/netspace"
	"cofferdam.dev/node-helper/internal/wire"
)

var (
	sandboxID = regexp.MustCompile(`^sb-[a-z0-9-]{1,60}$`)
	digest    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,127}$`)
	volumeID  = regexp.MustCompile(`^vol-[a-z2-7]{20}$`)
	fileName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
)

const maxFiles = 16

type none struct{}

type slotArgs struct {
	Slot int `json:"slot"`
}

type slotMade struct {
	Address string `json:"address"`
	Link    string `json:"link"`
}

type slotList struct {
	Slots []int `json:"slots"`
}

type prepareArgs struct {
	Slot    int      `json:"slot"`
	Sandbox string   `json:"sandbox"`
	Files   []string `json:"files"`
}

type removeArgs struct {
	Sandbox string `json:"sandbox"`
}

type templateArgs struct {
	Template string `json:"template"`
}

type startArgs struct {
	Slot      int      `json:"slot"`
	Sandbox   string   `json:"sandbox"`
	Driver    string   `json:"driver"`
	Args      []string `json:"args"`
	Template  string   `json:"template"`
	Image     string   `json:"image"`
	MemoryMiB int      `json:"memory_mib"`
	VCPUs     int      `json:"vcpus"`
	Own       bool     `json:"own"`
	Volumes   []string `json:"volumes"`
}

// stopArgs names a process where another VMM may be in the slot by now.
type stopArgs struct {
	Slot      int    `json:"slot"`
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"`
}

type started struct {
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"`
}

type stopped struct {
	Output string `json:"output"`
}

// Verbs is the closed list.
func (h *Helper) Verbs() map[string]wire.Verb {
	return map[string]wire.Verb{
		"gate.ensure":     verb(h.gateEnsure),
		"slot.create":     verb(h.slotCreate),
		"slot.destroy":    verb(h.slotDestroy),
		"slot.list":       verb(h.slotList),
		"slot.usage":      verb(h.slotUsage),
		"sandbox.prepare": verb(h.sandboxPrepare),
		"sandbox.remove":  verb(h.sandboxRemove),
		"template.load":   verb(h.templateLoad),
		"template.forget": verb(h.templateForget),
		"vmm.start":       verb(h.vmmStart),
		"vmm.stop":        verb(h.vmmStop),
	}
}

// Watches is the closed list of streams.
func (h *Helper) Watches() map[string]wire.Watch {
	return map[string]wire.Watch{
		"drops.watch": func(ctx context.Context, text json.RawMessage, send func(any) error) error {
			if err := wire.Decode(text, &none{}); err != nil {
				return wire.Errorf(wire.Invalid, "args: %v", err)
			}
			return h.drops.Watch(ctx, send)
		},
	}
}

func verb[A any](act func(*A) (any, error)) wire.Verb {
	return func(text json.RawMessage) (any, error) {
		var args A
		if err := wire.Decode(text, &args); err != nil {
			return nil, wire.Errorf(wire.Invalid, "args: %v", err)
		}
		return act(&args)
	}
}

// lock takes the slot for one verb at a time.
func (h *Helper) lock(slot int) (unlock func(), err error) {
	if !h.config.ValidSlot(slot) {
		return nil, wire.Errorf(wire.Invalid, "slot %d, expected 1 to %d", slot, h.config.MaxSlots)
	}
	h.slotMu[slot].Lock()
	return h.slotMu[slot].Unlock, nil
}

func matches(what string, r *regexp.Regexp, text string) error {
	if !r.MatchString(text) {
		return wire.Errorf(wire.Invalid, "%s %.128q, expected %s", what, text, r)
	}
	return nil
}

func (h *Helper) gateEnsure(*none) (any, error) { return none{}, h.ensureGate() }

func (h *Helper) slotCreate(a *slotArgs) (any, error) {
	unlock, err := h.lock(a.Slot)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return h.create(a.Slot)
}

func (h *Helper) create(slot int) (any, error) {
	whole, err := h.network.SlotIsWhole(slot)
	if err != nil {
		return nil, err
	}
	if !whole {
		// What holds the remains would outlive them.
		if err := h.destroy(slot); err != nil {
			return nil, err
		}
		if _, err := os.Stat(h.gatePath()); err != nil {
			if err := h.ensureGate(); err != nil {
				return nil, err
			}
		}
		if err := h.network.CreateSlot(slot); err != nil {
			return nil, err
		}
	}
	if err := h.attend(slot); err != nil {
		return nil, err
	}
	return slotMade{h.config.Address(slot).String(), h.linkPath(slot)}, nil
}

func (h *Helper) slotDestroy(a *slotArgs) (any, error) {
	unlock, err := h.lock(a.Slot)
	if err != nil {
		return nil, err
	}
	defer unlock()
	return none{}, h.destroy(a.Slot)
}

func (h *Helper) slotList(*none) (any, error) {
	slots, err := h.network.Slots()
	if err != nil {
		return nil, err
	}
	list := slotList{Slots: []int{}}
	for _, slot := range slots {
		if h.config.ValidSlot(slot) {
			list.Slots = append(list.Slots, slot)
		}
	}
	return list, nil
}

func (h *Helper) templateLoad(a *templateArgs) (any, error) {
	if err := matches("template", digest, a.Template); err != nil {
		return nil, err
	}
	memory, err := h.templates.Memory(a.Template)
	if err != nil {
		return nil, missing(err)
	}
	return none{}, memory.Close()
}

func (h *Helper) templateForget(a *templateArgs) (any, error) {
	if err := matches("template", digest, a.Template); err != nil {
		return nil, err
	}
	return none{}, h.templates.Forget(a.Template)
}

func (h *Helper) vmmStop(a *stopArgs) (any, error) {
	unlock, err := h.lock(a.Slot)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if a.PID < 0 || (a.PID == 0) != (a.StartTime == 0) {
		return nil, wire.Errorf(wire.Invalid, "pid %d of start_time %d, expected both or none", a.PID, a.StartTime)
	}
	if a.PID != 0 {
		// Under the slot's lock nothing starts in it: what is found now is what is killed.
		lives, err := h.holds(a.Slot, a.PID, a.StartTime)
		if err != nil || !lives {
			return stopped{}, err
		}
	}
	if err := h.kill(a.Slot); err != nil {
		return nil, err
	}
	return stopped{h.lastWords(a.Slot)}, nil
}

// missing turns a missing file into its own code.
func missing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return wire.Errorf(wire.NotFound, "%v", err)
	}
	return err
}

func isMissing(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == wire.NotFound
}

func (h *Helper) gatePath() string { return netspace.Path(h.network.GateName()) }
