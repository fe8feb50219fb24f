package vmm

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestTheMemoryGroupOfEitherVersionIsRead(t *testing.T) {
	for name, test := range map[string]struct{ controllers, file string }{
		"unified": {"cpu memory pids\n", "cofferdam/cfd/s3/memory.current"},
		"old":     {"hugetlb\n", "memory/cofferdam/cfd/s3/memory.usage_in_bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			must(t, os.WriteFile(filepath.Join(root, "cgroup.controllers"), []byte(test.controllers), 0o644))
			c := &Cgroups{root, "cfd"}
			if value, ok := c.memory(3); ok {
				t.Errorf("%d where there is no group", value)
			}
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(root, test.file)), 0o755))
			must(t, os.WriteFile(filepath.Join(root, test.file), []byte("4096\n"), 0o644))
			if value, ok := c.memory(3); !ok || value != 4096 {
				t.Errorf("%d, %v", value, ok)
			}
		})
	}
}

func TestAProcesssOwnUse(t *testing.T) {
	before := cpuTime(os.Getpid())
	for ends := time.Now().Add(time.Minute); cpuTime(os.Getpid()) < before+5*tick; {
		if time.Now().After(ends) {
			t.Fatal("no time passes for a process that is busy")
		}
		runtime.Gosched()
	}
	if resident := residentBytes(os.Getpid()); resident < 1<<20 || resident > 1<<32 {
		t.Errorf("%d bytes", resident)
	}
	if cpuTime(-1) != 0 || residentBytes(-1) != 0 {
		t.Error("a process that is not there uses something")
	}
}
