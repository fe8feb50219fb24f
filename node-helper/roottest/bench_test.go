package roottest

import "testing"

// go test -run - -bench . ./roottest

func BenchmarkSlotCreate(b *testing.B) {
	w := newWorld(b)
	for b.Loop() {
		w.ok("slot.create", slotArgs{1})
		b.StopTimer()
		w.ok("slot.destroy", slotArgs{1})
		b.StartTimer()
	}
}

// From the request to the exec of QEMU; what QEMU then needs by itself is not in it.
func BenchmarkVMMStart(b *testing.B) {
	w := newWorld(b)
	w.makeTemplate()
	w.ok("template.load", map[string]any{"template": templateDigest})
	w.ok("slot.create", slotArgs{2})
	w.sandbox("sb-two", 2)
	for b.Loop() {
		w.startVMM(2, "sb-two", true)
		b.StopTimer()
		w.ok("vmm.stop", slotArgs{2})
		b.StartTimer()
	}
}
