//go:build vm

package vm

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// keepsVolumes gives disks to clones of a template that was made without any.
func keepsVolumes(t *testing.T, image, made string) {
	volumes := []string{t.TempDir() + "/data", t.TempDir() + "/cache"}
	for n, file := range volumes {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, int64(64+n)<<20); err != nil {
			t.Fatal(err)
		}
		if output, err := exec.Command("/sbin/mkfs.ext4", "-q", "-m", "0", file).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	h, first := clone(t, image, made, volumes...)
	first.configure("writer", "", nil, "/data", "/data/cache")
	first.run("sh", "-c", "echo kept > /data/file; echo other > /data/cache/file; sync")
	if got := first.run("sh", "-c", "dd if=/dev/zero of=/data/full bs=1M 2>&1 | grep -o 'No space'; rm /data/full; sync; cat /data/file").stdout; got != "No space\nkept\n" {
		t.Errorf("a full volume: %q", got)
	}
	// As a sandbox ends: killed.
	_ = h.process.Process.Kill()
	_ = h.process.Wait()
	// As a copy that is to be larger.
	if err := os.Truncate(volumes[1], 200<<20); err != nil {
		t.Fatal(err)
	}
	_, second := clone(t, image, made, volumes...)
	second.configure("reader", "", nil, "/mnt/a", "/mnt/b")
	for file, expected := range map[string]string{"/mnt/a/file": "kept", "/mnt/b/file": "other"} {
		if got := strings.TrimSpace(second.run("cat", file).stdout); got != expected {
			t.Errorf("%s: %q, expected %q", file, got, expected)
		}
	}
	sizes := second.run("sh", "-c", "for d in /mnt/a /mnt/b; do blockdev --getsize64 $(awk -v d=$d '$2 == d { print $1 }' /proc/mounts); done").stdout
	if sizes != fmt.Sprintf("%d\n%d\n", 64<<20, 200<<20) {
		t.Errorf("disks of %q bytes", sizes)
	}
	second.run("dd", "if=/dev/zero", "of=/mnt/b/more", "bs=1M", "count=120")
}
