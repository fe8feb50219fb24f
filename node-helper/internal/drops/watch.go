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
	readers map[string]*following
}

type following struct {
	reader *Reader
	ended  chan struct{}
}

// NewHub reads nothing yet.
func NewHub(group uint16, log *slog.Logger) *Hub {
	return &Hub{group: group, log: log, ledger: NewLedger(time.Now), readers: map[string]*following{}}
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
	f := &following{r, make(chan struct{})}
	h.readers[name] = f
	go func() {
		err := r.Run(func(device uint32, p Packet) {
			if slot, ok := slotOf(device); ok {
				h.ledger.Add(slot, p)
			}
		})
		close(f.ended)
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.readers[name] == f {
			delete(h.readers, name)
			h.log.Error("drops_reader_ended", "namespace", name, "error", err)
			r.Close()
		}
	}()
	return nil
}

// Forget stops reading the namespace and lets go of it. What was dropped there until now is in the ledger afterwards.
func (h *Hub) Forget(name string) {
	h.mu.Lock()
	f := h.readers[name]
	delete(h.readers, name)
	h.mu.Unlock()
	if f == nil {
		return
	}
	defer f.reader.Close()
	if err := f.reader.Finish(); err != nil {
		h.log.Warn("drops_reader_not_finished", "namespace", name, "error", err)
		return
	}
	<-f.ended
}

// Vacate closes the account of the slot's last sandbox. To be called once its readers have been told to forget the namespace.
func (h *Hub) Vacate(slot int) { h.ledger.Close(slot) }

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
