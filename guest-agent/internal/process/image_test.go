package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/image"
)

func TestWhatTheImageSaysIsTheDefault(t *testing.T) {
	said := image.Image{Environment: map[string]string{"FROM_IMAGE": "yes", "LAYER": "image", "PATH": "/bin"}, Directory: t.TempDir()}
	defaults, sandbox := map[string]string{"LAYER": "defaults"}, map[string]string{"OF": "sandbox"}

	c, err := resolve(&v1.ProcessSpec{Argv: []string{"true"}}, said, defaults, sandbox)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FROM_IMAGE=yes", "LAYER=defaults", "OF=sandbox", "PATH=/bin"} {
		if !slices.Contains(c.env, want) {
			t.Errorf("%v, expected %s", c.env, want)
		}
	}
	if c.program != "/bin/true" || c.directory != said.Directory {
		t.Errorf("%s in %s", c.program, c.directory)
	}

	other := t.TempDir()
	c, err = resolve(&v1.ProcessSpec{Argv: []string{"true"}, WorkingDirectory: other, Env: map[string]string{"FROM_IMAGE": "no"}}, said, defaults, sandbox)
	if err != nil {
		t.Fatal(err)
	}
	if c.directory != other || !slices.Contains(c.env, "FROM_IMAGE=no") {
		t.Errorf("%v in %s: the process's own come first", c.env, c.directory)
	}
}

func TestTheImagesUserIsAsAnImageMayNameOne(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	for _, test := range []struct {
		of, own  string
		uid, gid uint32
		root     bool
	}{
		{of: "nobody", uid: 65534, gid: 65534},
		{of: "65534", uid: 65534, gid: 65534},
		{of: "12345", uid: 12345, gid: 0},
		{of: "12345:23456", uid: 12345, gid: 23456},
		{of: "nobody:daemon", uid: 65534, gid: 1},
		{of: "0:1", uid: 0, gid: 1},
		{of: "nobody", own: "root", root: true},
		{of: "nobody", own: "0", root: true},
		{of: "", root: true},
	} {
		c, err := resolve(&v1.ProcessSpec{Argv: []string{"true"}, User: test.own}, image.Image{User: test.of}, nil, nil)
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		if test.root != (c.credential == nil) || c.credential != nil && (c.credential.Uid != test.uid || c.credential.Gid != test.gid) {
			t.Errorf("%+v: %+v", test, c.credential)
		}
	}
	for _, bad := range []string{"no-such-user", "-1", "4294967296", "1:", "1:no-such-group", ":1x", "1:2:3"} {
		if c, err := resolve(&v1.ProcessSpec{Argv: []string{"true"}, User: bad}, image.Image{}, nil, nil); err == nil {
			t.Errorf("user %q became %+v", bad, c.credential)
		}
	}
}

func TestAnImageIsReadOrSaysNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "image.json")
	if said, err := image.Read(file); err != nil || said.User != "" {
		t.Errorf("%+v, %v", said, err)
	}
	if err := os.WriteFile(file, []byte(`{"environment":{"A":"b"},"directory":"/srv","user":"1000:1000"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := image.Read(file); err != nil || said.User != "1000:1000" || said.Directory != "/srv" || said.Environment["A"] != "b" {
		t.Errorf("%+v, %v", said, err)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("[", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := image.Read(file); err == nil {
		t.Error("broken JSON was read")
	}
}
