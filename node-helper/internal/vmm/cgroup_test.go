package vmm

import (
	"os"
	"path/filepath"
	"testing"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A directory takes the kernel's place: the files and their values are what is tested.
func TestUnifiedHierarchyIsPreferred(t *testing.T) {
	root := t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("cpuset cpu io memory hugetlb pids\n"), 0o644))
	slot := filepath.Join(root, "cofferdam", "cfd", "s3")
	must(t, os.MkdirAll(slot, 0o755))
	for _, dir := range []string{root, filepath.Join(root, "cofferdam"), filepath.Join(root, "cofferdam", "cfd")} {
		must(t, os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), nil, 0o644))
	}
	for _, f := range []string{"memory.max", "memory.swap.max", "memory.oom.group", "cpu.max", "pids.max", "io.max", "cgroup.procs"} {
		must(t, os.WriteFile(filepath.Join(slot, f), nil, 0o644))
	}
	c := &Cgroups{root, "cfd"}
	must(t, c.Place(3, 4711, Limits{MemoryMiB: 512, VCPUs: 2, SharedBytes: 64 << 20, Disk: "254:0"}))
	for f, want := range map[string]string{
		"memory.max": "872415232", "memory.swap.max": "0", "cpu.max": "250000 100000", "pids.max": "98", "cgroup.procs": "4711",
		"io.max": "254:0 rbps=268435456 wbps=268435456 riops=8192 wiops=8192",
	} {
		if got := read(t, slot, f); got != want {
			t.Errorf("%s: %q, expected %q", f, got, want)
		}
	}
	if got := read(t, root, "cofferdam", "cfd", "cgroup.subtree_control"); got != "+cpu +memory +pids" {
		t.Errorf("subtree_control: %q", got)
	}
	if pids := c.Members(3); len(pids) != 1 || pids[0] != 4711 {
		t.Errorf("members: %v", pids)
	}
}

func TestOldHierarchiesWhereTheyAre(t *testing.T) {
	root := t.TempDir()
	// Version 2 is mounted, as here often, but offers nothing that is needed.
	must(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte("hugetlb\n"), 0o644))
	memory := filepath.Join(root, "memory", "cofferdam", "cfd", "s1")
	must(t, os.MkdirAll(memory, 0o755))
	for _, f := range []string{"memory.limit_in_bytes", "cgroup.procs"} {
		must(t, os.WriteFile(filepath.Join(memory, f), nil, 0o644))
	}
	blkio := filepath.Join(root, "blkio", "cofferdam", "cfd", "s1")
	must(t, os.MkdirAll(blkio, 0o755))
	throttles := map[string]string{"read_bps": "8:0 268435456", "write_bps": "8:0 268435456", "read_iops": "8:0 8192", "write_iops": "8:0 8192"}
	must(t, os.WriteFile(filepath.Join(blkio, "cgroup.procs"), nil, 0o644))
	for name := range throttles {
		must(t, os.WriteFile(filepath.Join(blkio, "blkio.throttle."+name+"_device"), nil, 0o644))
	}
	c := &Cgroups{root, "cfd"}
	must(t, c.Place(1, 4711, Limits{MemoryMiB: 256, VCPUs: 1, Disk: "8:0"}))
	for name, want := range throttles {
		if got := read(t, blkio, "blkio.throttle."+name+"_device"); got != want {
			t.Errorf("%s: %q, expected %q", name, got, want)
		}
	}
	if got := read(t, memory, "memory.limit_in_bytes"); got != "536870912" {
		t.Errorf("memory.limit_in_bytes: %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "pids")); !os.IsNotExist(err) {
		t.Errorf("a hierarchy that is not mounted was made: %v", err)
	}
}

func TestALimitThatCannotBeSetIsAnError(t *testing.T) {
	root := t.TempDir()
	// A pids hierarchy without pids.max cannot be: the write fails, and so must the start.
	dir := filepath.Join(root, "pids", "cofferdam", "cfd", "s1", "pids.max")
	must(t, os.MkdirAll(dir, 0o755))
	if err := (&Cgroups{root, "cfd"}).Place(1, 1, Limits{MemoryMiB: 64, VCPUs: 1}); err == nil {
		t.Error("no error")
	}
}

func TestAPartitionIsLimitedByItsDisk(t *testing.T) {
	// As in /sys: links to the devices' places, a partition's within its disk's.
	sys := t.TempDir()
	disk := filepath.Join(sys, "devices", "vda")
	must(t, os.MkdirAll(filepath.Join(disk, "vda1"), 0o755))
	must(t, os.WriteFile(filepath.Join(disk, "dev"), []byte("254:0\n"), 0o644))
	must(t, os.WriteFile(filepath.Join(disk, "vda1", "partition"), []byte("1\n"), 0o644))
	must(t, os.Symlink("devices/vda", filepath.Join(sys, "254:0")))
	must(t, os.Symlink("devices/vda/vda1", filepath.Join(sys, "254:1")))
	for device, want := range map[string]string{"254:0": "254:0", "254:1": "254:0", "0:31": ""} {
		if got := wholeDisk(sys, device); got != want {
			t.Errorf("%s: %q, expected %q", device, got, want)
		}
	}
}

func TestOneFileMayBecomeAsLargeAsTheDiskOrTheMemory(t *testing.T) {
	path := t.TempDir()
	dir, err := os.Open(path)
	must(t, err)
	defer dir.Close()
	must(t, os.WriteFile(filepath.Join(path, "disk.ext4"), nil, 0o644))
	must(t, os.Symlink("/proc/kcore", filepath.Join(path, "link")))
	for _, c := range []struct {
		disk   int64
		memory int
		want   uint64
	}{{0, 128, 192 << 20}, {100 << 20, 128, 192 << 20}, {10 << 30, 128, 10<<30 + 64<<20}} {
		must(t, os.Truncate(filepath.Join(path, "disk.ext4"), c.disk))
		if got, err := fileSize(dir, c.memory); err != nil || got != c.want {
			t.Errorf("%+v: %d, %v", c, got, err)
		}
	}
}

func TestStartTimeIsTheKernels(t *testing.T) {
	a, err := StartTime(os.Getpid())
	must(t, err)
	if a == 0 {
		t.Error("zero")
	}
	if _, err := StartTime(0); err == nil {
		t.Error("pid 0 has a start time")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
