package safepath

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingLeadsOut(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	inside := filepath.Join(root, "inside")
	must(t, os.Mkdir(inside, 0o755))
	must(t, os.WriteFile(filepath.Join(root, "outside"), []byte("x"), 0o600))
	must(t, os.WriteFile(filepath.Join(inside, "file"), []byte("x"), 0o600))
	must(t, os.Symlink("file", filepath.Join(inside, "link")))
	must(t, os.Symlink(root, filepath.Join(inside, "up")))
	must(t, os.Symlink("/proc/self/fd/0", filepath.Join(inside, "magic")))
	must(t, os.Link(filepath.Join(root, "outside"), filepath.Join(inside, "hard")))
	must(t, unix.Mkfifo(filepath.Join(inside, "fifo"), 0o600))
	dir, err := OpenDir(inside)
	must(t, err)
	defer dir.Close()
	for _, name := range []string{"../outside", "..", "/etc/passwd", "link", "up/outside", "magic", "hard", "fifo", ".", "missing", ""} {
		if f, _, err := OpenRegular(dir, name, unix.O_RDONLY, 0); err == nil {
			f.Close()
			t.Errorf("%q was opened", name)
		}
	}
	f, stat, err := OpenRegular(dir, "file", unix.O_RDONLY, 0)
	must(t, err)
	defer f.Close()
	if stat.Size != 1 {
		t.Errorf("size %d", stat.Size)
	}
	made, _, err := OpenRegular(dir, "new", unix.O_WRONLY|unix.O_CREAT, 0o600)
	must(t, err)
	must(t, made.Close())
}

func TestDirectoriesByTheirTrueName(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	must(t, os.Mkdir(filepath.Join(root, "real"), 0o755))
	must(t, os.Symlink("real", filepath.Join(root, "link")))
	for _, path := range []string{"relative", root + "/link", root + "/real/", root + "/real/../real", root + "/none", ""} {
		if d, err := OpenDir(path); err == nil {
			d.Close()
			t.Errorf("%q was opened", path)
		}
	}
	for _, path := range []string{root + "/real", "/"} {
		d, err := OpenDir(path)
		must(t, err)
		d.Close()
	}
}
