package process

import (
	"strings"
	"testing"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/image"
	"google.golang.org/protobuf/proto"
)

// FuzzSpec resolves whatever can come over the link. What is let through is passed to execve: no NUL, no name that is two.
func FuzzSpec(f *testing.F) {
	for _, spec := range []*v1.ProcessSpec{
		{}, {Argv: []string{"true"}}, {Argv: []string{"/bin/true", ""}}, {Argv: []string{"a\x00"}}, {Argv: []string{"./x"}}, {Argv: []string{"true"}, User: "root"},
		{Argv: []string{"true"}, User: "nobody"}, {Argv: []string{"true"}, User: "\n"}, {Argv: []string{"true"}, WorkingDirectory: "/"},
		{Argv: []string{"true"}, WorkingDirectory: "x"}, {Argv: []string{"true"}, Env: map[string]string{"PATH": ":.:/bin"}},
		{Argv: []string{"true"}, Env: map[string]string{"": "x"}}, {Argv: []string{"true"}, Terminal: &v1.TerminalSize{Rows: 1 << 31, Columns: 1}},
	} {
		text, err := proto.Marshal(spec)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		spec := &v1.ProcessSpec{}
		if proto.Unmarshal(text, spec) != nil {
			return
		}
		c, err := resolve(spec, image.Image{User: spec.GetUser(), Directory: spec.GetWorkingDirectory()}, map[string]string{"D": "1"}, map[string]string{"S": "2"})
		if err != nil {
			return
		}
		if !strings.HasPrefix(c.program, "/") || !strings.HasPrefix(c.directory, "/") || len(c.argv) == 0 || len(c.argv) > maxArguments {
			t.Errorf("%+v", c)
		}
		for _, text := range append(append([]string{c.program, c.directory}, c.argv...), c.env...) {
			if strings.Contains(text, "\x00") {
				t.Errorf("%q has a NUL", text)
			}
		}
		seen := map[string]bool{}
		for _, variable := range c.env {
			name, _, ok := strings.Cut(variable, "=")
			if !ok || name == "" || seen[name] {
				t.Errorf("variable %q, seen: %v", variable, seen[name])
			}
			seen[name] = true
		}
	})
}
