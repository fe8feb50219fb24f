package safepath

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A tree deeper than the process may have descriptors, with a name at each level that what is moved up would like to have.
func TestEmptyNeedsNoDescriptorForEachLevel(t *testing.T) {
	top := t.TempDir()
	kept := filepath.Join(t.TempDir(), "kept")
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const depth, descriptors = 300, 50
	path := top
	for range depth {
		for _, name := range []string{".moved-1", "d"} {
			if err := os.Mkdir(filepath.Join(path, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(filepath.Dir(kept), filepath.Join(path, "link")); err != nil {
			t.Fatal(err)
		}
		path += "/d"
	}
	dir, err := os.Open(top)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: descriptors, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	err = Empty(dir)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(top); len(left) != 0 || err != nil {
		t.Errorf("left: %v %v", left, err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
}
