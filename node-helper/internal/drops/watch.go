// Package drops reads what the rules refused (NFLOG), names it, adds it up per second and hands it to whoever watches.
// Start at Hub; the rules that log are in package network.
package drops

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Hub owns the readers of all namespaces.
type Hub struct {
	group  uint16
	log    *slog.Logger
	ledger *Ledger

	mu      sync.Mutex
	readers map[string]*Reader
}

// NewHub reads nothing yet.
func NewHub(group uint16, log *slog.Logger) *Hub {
	return &Hub{group: group, log: log, ledger: NewLedger(time.Now), readers: map[string]*Reader{}}
}

// Follow reads the namespace's drops from now on. slotOf maps the device a packet came in by; what it does not know is left out. Idempotent per name.
func (h *Hub) Follow(name string, ns *os.File, slotOf func(device uint32) (int, bool)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers[name] != nil {
		return nil
	}
	r, err := OpenReader(ns, h.group)
	if err != nil {
		return err
	}
	h.readers[name] = r
	go func() {
		err := r.Run(func(device uint32, p Packet) {
			if slot, ok := slotOf(device); ok {
				h.ledger.Add(slot, p)
			}
		})
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.readers[name] == r {
			delete(h.readers, name)
			h.log.Error("drops_reader_ended", "namespace", name, "error", err)
			r.Close()
		}
	}()
	return nil
}

// Forget stops reading the namespace and lets go of it.
func (h *Hub) Forget(name string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.readers[name]; r != nil {
		delete(h.readers, name)
		r.Close()
	}
}

// Vacate forgets what the slot's last sandbox did. To be called once its readers have been told to forget the namespace.
func (h *Hub) Vacate(slot int) { h.ledger.Forget(slot) }

type line struct {
	Drop Drop `json:"drop"`
}

// Watch sends drops each second. What is dropped while nobody watches waits, within the ledger's bound; with several watchers each drop goes to one of them.
func (h *Hub) Watch(ctx context.Context, send func(any) error) error {
	if err := send(struct{}{}); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		for _, d := range h.ledger.Take() {
			if err := send(line{d}); err != nil {
				return err
			}
		}
	}
}
