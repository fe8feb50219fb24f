package roottest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	volumeA = "vol-aaaaaaaaaaaaaaaaaaaa"
	volumeB = "vol-bbbbbbbbbbbbbbbbbbbb"
)

func (w *world) volume(id string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "volumes", id)
	must(w.t, os.WriteFile(path, nil, 0o660))
	must(w.t, os.Truncate(path, 1<<20))
	must(w.t, os.Chown(path, agentUID, agentGID))
	return path
}

// withVolumes is a start of a guest that is not let run.
func withVolumes(slot int, sandbox string, volumes ...string) map[string]any {
	r := startRequest(slot, sandbox, false)
	args := append(r["args"].([]string), "-S")
	for n := range volumes {
		args = append(args, "-drive", fmt.Sprintf("if=none,id=volume%d,file=/volume/%d,format=raw", n, n),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=volume%d,serial=volume-%d", n, n))
	}
	r["args"], r["volumes"] = args, append([]string{}, volumes...)
	return r
}

func TestAVolumeHasOneWriter(t *testing.T) {
	w := newWorld(t)
	w.image()
	a, b := w.volume(volumeA), w.volume(volumeB)
	for slot, id := range map[int]string{1: "sb-one", 2: "sb-two", 3: "sb-three"} {
		w.ok("slot.create", slotArgs{slot})
		w.sandbox(id, slot)
	}
	w.ok("vmm.start", withVolumes(1, "sb-one", volumeA, volumeB))
	w.qmp(filepath.Join(w.dir, "sandboxes", "sb-one"))
	pid := w.vmmPID(1)
	for n, path := range []string{a, b} {
		var inside, outside unix.Stat_t
		must(t, unix.Stat(fmt.Sprintf("/proc/%d/root/volume/%d", pid, n), &inside))
		must(t, unix.Stat(path, &outside))
		if inside.Ino != outside.Ino || int(outside.Uid) != vmmUIDBase+1 || int(outside.Gid) != agentGID || outside.Mode&0o777 != 0o660 {
			t.Errorf("volume %d: %+v in the jail, %+v outside", n, inside, outside)
		}
	}
	w.refused("exists", "vmm.start", withVolumes(2, "sb-two", volumeB))
	// Neither the refusal nor a restart of the helper lets go of it.
	w.kill9()
	w.start()
	w.refused("exists", "vmm.start", withVolumes(2, "sb-two", volumeB))

	w.ok("vmm.stop", slotArgs{1})
	// The slot's next VMM has nothing of it, though the files are its user's still.
	w.ok("vmm.start", withVolumes(1, "sb-one"))
	if left, _ := filepath.Glob(fmt.Sprintf("/proc/%d/root/volume/*", w.vmmPID(1))); len(left) != 0 {
		t.Errorf("a VMM without volumes sees %v", left)
	}
	w.ok("vmm.start", withVolumes(2, "sb-two", volumeB))
	w.ok("vmm.start", withVolumes(3, "sb-three", volumeA))
}

func TestOfManyStartsWithOneVolumeOneSucceeds(t *testing.T) {
	w := newWorld(t)
	w.image()
	w.volume(volumeA)
	const slots = 4
	for slot := 1; slot <= slots; slot++ {
		w.ok("slot.create", slotArgs{slot})
		w.sandbox(fmt.Sprintf("sb-%d", slot), slot)
	}
	var all sync.WaitGroup
	answers := make([]answer, slots)
	for slot := 1; slot <= slots; slot++ {
		all.Go(func() { answers[slot-1] = w.call("vmm.start", withVolumes(slot, fmt.Sprintf("sb-%d", slot), volumeA)) })
	}
	all.Wait()
	started := 0
	for _, a := range answers {
		if a.Error == nil {
			started++
		} else if a.Error.Code != "exists" {
			t.Errorf("refused with %s: %s", a.Error.Code, a.Error.Message)
		}
	}
	if started != 1 {
		t.Errorf("%d VMMs have the volume", started)
	}
}

func TestPathTricksAtVolumes(t *testing.T) {
	w := newWorld(t)
	w.image()
	w.ok("slot.create", slotArgs{1})
	w.sandbox("sb-one", 1)
	precious := filepath.Join(w.dir, "precious")
	must(t, os.WriteFile(precious, []byte("root's"), 0o600))
	path := filepath.Join(w.dir, "volumes", volumeA)
	for name, make := range map[string]func() error{
		"a link":           func() error { return os.Symlink(precious, path) },
		"a second name":    func() error { return os.Link(precious, path) },
		"a directory":      func() error { return os.Mkdir(path, 0o777) },
		"a pipe":           func() error { return unix.Mkfifo(path, 0o666) },
		"a device":         func() error { return unix.Mknod(path, unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))) },
		"a file of root's": func() error { return os.WriteFile(path, nil, 0o600) },
	} {
		must(t, make())
		if a := w.call("vmm.start", withVolumes(1, "sb-one", volumeA)); a.Error == nil || a.Error.Code != "invalid" {
			t.Errorf("%s: %+v", name, a)
		}
		must(t, os.RemoveAll(path))
	}
	var stat unix.Stat_t
	must(t, unix.Stat(precious, &stat))
	if stat.Uid != 0 || stat.Mode&0o777 != 0o600 {
		t.Errorf("a file outside was changed: %+v", stat)
	}
	w.refused("not_found", "vmm.start", withVolumes(1, "sb-one", volumeA))
	w.refused("invalid", "vmm.start", withVolumes(1, "sb-one", "vol-../../precious"))
	w.volume(volumeB)
	w.refused("invalid", "vmm.start", withVolumes(1, "sb-one", volumeB, volumeB))
	// A command line may name the volumes of its request and no other.
	more := withVolumes(1, "sb-one", volumeB, volumeA)
	more["volumes"] = []string{volumeB}
	w.refused("invalid", "vmm.start", more)
}
