package file

import (
	"path/filepath"
	"strings"
	"testing"
)

func FuzzPath(f *testing.F) {
	for _, path := range []string{"/", "/a", "//a/./b/", "a", "", "/..", "/a/../b", "/a\x00", "/...", "/a/..\x00/b", strings.Repeat("/a", 3000)} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, err := clean(path)
		if err != nil {
			return
		}
		if !filepath.IsAbs(got) || strings.Contains(got, "\x00") || strings.Contains(got+"/", "/../") || strings.Contains(got, "//") || len(got) > maxPath {
			t.Errorf("%q became %q", path, got)
		}
		if again, err := clean(got); err != nil || again != got {
			t.Errorf("%q became %q and that %q, %v", path, got, again, err)
		}
	})
}

// A token comes back from a client: whatever it says, a listing goes on after a name in its own directory.
func FuzzPageToken(f *testing.F) {
	for _, token := range []string{"", "YQ", "YS9i", "AA", "Li4", "-_", "YQ==", "\n", "YQ\n"} {
		f.Add(token)
	}
	f.Fuzz(func(t *testing.T, token string) {
		name, err := parseToken(token)
		if err != nil {
			return
		}
		if strings.ContainsAny(name, "/\x00") {
			t.Errorf("%q names %q", token, name)
		}
		if again, err := parseToken(formatToken(name)); err != nil || again != name {
			t.Errorf("%q became %q, %v", name, again, err)
		}
	})
}
