package roottest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

type slotUsage struct {
	CPUNanos       int64  `json:"cpu_ns"`
	MemoryBytes    uint64 `json:"memory_bytes"`
	DiskBytes      uint64 `json:"disk_bytes"`
	FromGuestBytes uint64 `json:"from_guest_bytes"`
	ToGuestBytes   uint64 `json:"to_guest_bytes"`
}

func (w *world) usage(slot int, sandbox string) slotUsage {
	w.t.Helper()
	var u slotUsage
	must(w.t, json.Unmarshal(w.ok("slot.usage", map[string]any{"slot": slot, "sandbox": sandbox}), &u))
	return u
}

// checkUsage is told of two clones, of which slot 2's has sent a megabyte through the gateway and got it back.
func checkUsage(t *testing.T, w *world, dir string) {
	const megabyte = 1_000_000
	busy, idle := w.usage(2, "sb-two"), w.usage(3, "sb-three")
	if busy.FromGuestBytes < megabyte || busy.ToGuestBytes < megabyte {
		t.Errorf("%+v: less than the guest has sent and received", busy)
	}
	if idle.FromGuestBytes > megabyte/2 || idle.ToGuestBytes > megabyte/2 {
		t.Errorf("%+v: another slot's traffic", idle)
	}
	for _, u := range []slotUsage{busy, idle} {
		if u.CPUNanos <= 0 || u.MemoryBytes < megabyte || u.MemoryBytes > (memoryMiB+256)<<20 {
			t.Errorf("%+v: no VMM uses that", u)
		}
	}
	w.run(2, "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
	if after := w.usage(2, "sb-two"); after.CPUNanos <= busy.CPUNanos {
		t.Errorf("%d ns before and %d after the guest was busy", busy.CPUNanos, after.CPUNanos)
	}

	// What a VMM could put there: only its own blocks count, not where a link leads or how long a sparse file claims to be.
	must(t, os.WriteFile(filepath.Join(dir, "more"), make([]byte, 2<<20), 0o600))
	must(t, os.Symlink(helperBinary, filepath.Join(dir, "link")))
	must(t, os.Truncate(filepath.Join(dir, "disk.ext4"), 1<<30))
	if grown := w.usage(2, "sb-two").DiskBytes - busy.DiskBytes; grown < 2<<20 || grown > 3<<20 {
		t.Errorf("%d bytes more after 2 MiB were written", grown)
	}
	for _, name := range []string{"more", "link"} {
		must(t, os.Remove(filepath.Join(dir, name)))
	}
	must(t, os.Truncate(filepath.Join(dir, "disk.ext4"), 1<<20))

	for code, args := range map[string][]map[string]any{
		"invalid": {
			{"slot": 0, "sandbox": "sb-two"}, {"slot": 2, "sandbox": "../sandboxes/sb-two"}, {"slot": 2, "sandbox": ""}, {"slot": 2},
		},
		"not_found": {{"slot": 7, "sandbox": "sb-two"}, {"slot": 2, "sandbox": "sb-none"}},
	} {
		for _, a := range args {
			w.refused(code, "slot.usage", a)
		}
	}
}
