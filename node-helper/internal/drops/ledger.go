package drops

import (
	"sort"
	"sync"
	"time"
)

// Drop is one line for the watcher: packets of one kind within about a second.
type Drop struct {
	Slot        int      `json:"slot"`
	Protocol    Protocol `json:"protocol"`
	Destination string   `json:"destination"`
	Port        int      `json:"port"`
	Count       int64    `json:"count"`
	FirstTimeMs int64    `json:"first_time_ms"`
}

const (
	// The bound is per slot so that a noisy guest cannot push another one's drops out.
	kindsPerSlot = 64
	// Everything past it is counted under this destination, one line per protocol.
	overflow = "*"
	// Of slots that were closed. While nobody takes them, the oldest go.
	closedMax = 4096
)

type kind struct {
	protocol    Protocol
	destination string
	port        int
}

// Ledger adds up drops until they are taken. Its size is bounded whatever guests send.
type Ledger struct {
	now   func() time.Time
	mu    sync.Mutex
	slots map[int]map[kind]*Drop
	// Lines that nothing is added to any more.
	closed []Drop
}

// NewLedger starts empty.
func NewLedger(now func() time.Time) *Ledger {
	return &Ledger{now: now, slots: map[int]map[kind]*Drop{}}
}

// Add counts one packet.
func (l *Ledger) Add(slot int, p Packet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kinds := l.slots[slot]
	if kinds == nil {
		kinds = map[kind]*Drop{}
		l.slots[slot] = kinds
	}
	k := kind{p.Protocol, p.Destination, p.Port}
	if kinds[k] == nil && len(kinds) >= kindsPerSlot {
		k = kind{p.Protocol, overflow, 0}
	}
	d := kinds[k]
	if d == nil {
		d = &Drop{Slot: slot, Protocol: k.protocol, Destination: k.destination, Port: k.port, FirstTimeMs: l.now().UnixMilli()}
		kinds[k] = d
	}
	d.Count++
}

// Close ends the slot's lines: what is dropped there from now on is somebody else's, and must not be added to them.
func (l *Ledger) Close(slot int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range l.slots[slot] {
		l.closed = append(l.closed, *d)
	}
	l.closed = l.closed[max(0, len(l.closed)-closedMax):]
	delete(l.slots, slot)
}

// Take empties the ledger, oldest first.
func (l *Ledger) Take() []Drop {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.closed
	l.closed = nil
	for _, kinds := range l.slots {
		for _, d := range kinds {
			out = append(out, *d)
		}
	}
	clear(l.slots)
	sort.SliceStable(out, func(i, j int) bool { return out[i].FirstTimeMs < out[j].FirstTimeMs })
	return out
}
