package roottest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOnlyTheAgentMaySpeak(t *testing.T) {
	w := newWorld(t)
	g := w.guest(1)
	var l net.Listener
	must(t, g.do(func() (err error) {
		l, err = net.Listen("tcp", "169.254.0.21:1024")
		return err
	}))
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("guest"))
			c.Close()
		}
	}()
	binary, err := os.Executable()
	must(t, err)
	program := w.dir + "/stranger"
	must(t, exec.Command("install", "-m", "755", binary, program).Run())
	// Files that everybody may open: what refuses is the peer's uid, not the mode.
	must(t, os.Chmod(w.dir+"/run/links", 0o755))
	served := map[string]string{w.socket: `"slots":[`, w.dir + "/run/links/1.sock": "guest"}
	for socket, text := range served {
		must(t, os.Chmod(socket, 0o777))
		for uid, welcome := range map[uint32]bool{1234: false, vmmUIDBase + 1: false, agentUID + 1: false, agentUID: true, 0: true} {
			cmd := exec.Command(program, socket)
			cmd.Env = []string{roleVariable + "=" + roleStranger}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: agentGID}}
			out, err := cmd.Output()
			must(t, err)
			got := strings.ReplaceAll(string(out), `\"`, `"`)
			if !strings.HasPrefix(got, "answer ") || strings.Contains(got, text) != welcome {
				t.Errorf("uid %d at %s: %s", uid, filepath.Base(socket), got)
			}
		}
	}
}

func TestWordsThatAreNotOnTheList(t *testing.T) {
	w := newWorld(t)
	for name, line := range map[string]string{
		"not json":               `hello`,
		"an array":               `[1]`,
		"unknown field":          `{"id":1,"verb":"slot.list","args":{},"uid":0}`,
		"field in other case":    `{"id":1,"Verb":"slot.list"}`,
		"field twice":            `{"id":1,"verb":"slot.list","verb":"slot.destroy"}`,
		"two values":             `{"id":1,"verb":"slot.list"} {"id":2}`,
		"unknown verb":           `{"id":1,"verb":"exec","args":{}}`,
		"verb of a shell":        `{"id":1,"verb":"slot.list; id","args":{}}`,
		"id not a number":        `{"id":"1","verb":"slot.list"}`,
		"args not an object":     `{"id":1,"verb":"slot.create","args":[1]}`,
		"null args":              `{"id":1,"verb":"slot.create","args":null}`,
		"unknown argument":       `{"id":1,"verb":"slot.create","args":{"slot":1,"mac":"x"}}`,
		"argument in other case": `{"id":1,"verb":"slot.create","args":{"SLOT":1}}`,
		"argument twice":         `{"id":1,"verb":"slot.create","args":{"slot":1,"slot":2}}`,
		"slot as text":           `{"id":1,"verb":"slot.create","args":{"slot":"1"}}`,
		"slot with a fraction":   `{"id":1,"verb":"slot.create","args":{"slot":1.5}}`,
		"slot too large":         `{"id":1,"verb":"slot.create","args":{"slot":99999999999999999999}}`,
		"not utf-8":              "{\"id\":1,\"verb\":\"\xff\"}",
		"args for list":          `{"id":1,"verb":"slot.list","args":{"slot":1}}`,
		"args for watch":         `{"id":1,"verb":"drops.watch","args":{"slot":1}}`,
		"too long":               `{"id":1,"verb":"` + strings.Repeat("x", 70_000) + `"}`,
	} {
		a, err := w.raw(line)
		if err != nil || a.Error == nil || a.Error.Code != "invalid" {
			t.Errorf("%s: %+v %v, expected invalid", name, a, err)
		}
	}
	for _, slot := range []int{-1, 0, 10, 1 << 30, -1 << 63} {
		for _, verb := range []string{"slot.create", "slot.destroy", "vmm.stop"} {
			w.refused("invalid", verb, slotArgs{slot})
		}
	}
	if names, _ := filepath.Glob("/run/netns/" + w.mesh + "-s*"); len(names) != 0 {
		t.Errorf("slots were made: %v", names)
	}
}

func TestPathTricksAtPrepare(t *testing.T) {
	w := newWorld(t)
	w.ok("slot.create", slotArgs{1})
	sandboxes := filepath.Join(w.dir, "sandboxes")
	outside := filepath.Join(w.dir, "outside")
	must(t, os.Mkdir(outside, 0o700))
	must(t, os.WriteFile(filepath.Join(outside, "secret"), []byte("root's"), 0o600))
	mine := func(path string) string {
		must(t, os.Lchown(path, agentUID, agentGID))
		return path
	}
	dir := func(id string) string {
		path := filepath.Join(sandboxes, id)
		must(t, os.Mkdir(path, 0o755))
		return mine(path)
	}
	prepare := func(code, sandbox string, files ...string) {
		t.Helper()
		if files == nil {
			files = []string{}
		}
		w.refused(code, "sandbox.prepare", map[string]any{"slot": 1, "sandbox": sandbox, "files": files})
	}

	for _, id := range []string{"", ".", "..", "sb-", "sb-A", "../outside", "sb-a/../../outside", "/etc", "sb-a\x00b", "sb-é", "sb-" + strings.Repeat("a", 61), "SB-a", "sb-a\n"} {
		prepare("invalid", id)
	}
	prepare("not_found", "sb-missing")

	must(t, os.Symlink(outside, mineLink(filepath.Join(sandboxes, "sb-link"))))
	prepare("invalid", "sb-link")

	must(t, os.WriteFile(mineLink(filepath.Join(sandboxes, "sb-file")), nil, 0o644))
	prepare("invalid", "sb-file")

	must(t, os.Mkdir(filepath.Join(sandboxes, "sb-roots"), 0o755))
	prepare("invalid", "sb-roots")

	d := dir("sb-a")
	for _, name := range []string{"", ".", "..", "../outside/secret", "/etc/shadow", "a/b", ".hidden", "a\x00", strings.Repeat("a", 65)} {
		prepare("invalid", "sb-a", name)
	}
	prepare("invalid", "sb-a", strings.Split(strings.Repeat("f ", 17), " ")[:17]...)
	prepare("not_found", "sb-a", "missing")

	must(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(d, "symlink")))
	prepare("invalid", "sb-a", "symlink")
	must(t, os.Symlink("/proc/self/fd/0", filepath.Join(d, "magic")))
	prepare("invalid", "sb-a", "magic")
	must(t, os.Link(filepath.Join(outside, "secret"), filepath.Join(d, "hardlink")))
	prepare("invalid", "sb-a", "hardlink")
	// Even of a file of its own: the name in the sandbox would hand over what the other name keeps.
	must(t, os.WriteFile(filepath.Join(outside, "key"), []byte("the agent's"), 0o600))
	mine(filepath.Join(outside, "key"))
	must(t, os.Link(filepath.Join(outside, "key"), filepath.Join(d, "agents")))
	prepare("invalid", "sb-a", "agents")
	must(t, unix.Mkfifo(filepath.Join(d, "fifo"), 0o666))
	mine(filepath.Join(d, "fifo"))
	prepare("invalid", "sb-a", "fifo")
	must(t, os.Mkdir(filepath.Join(d, "directory"), 0o755))
	mine(filepath.Join(d, "directory"))
	prepare("invalid", "sb-a", "directory")
	must(t, unix.Mknod(filepath.Join(d, "device"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	prepare("invalid", "sb-a", "device")
	must(t, os.WriteFile(filepath.Join(d, "roots"), nil, 0o644))
	prepare("invalid", "sb-a", "roots")

	// One bad name and nothing was given away.
	must(t, os.WriteFile(filepath.Join(d, "disk"), nil, 0o644))
	mine(filepath.Join(d, "disk"))
	prepare("invalid", "sb-a", "disk", "roots")
	for _, path := range []string{d, filepath.Join(d, "disk")} {
		if uid := ownerOf(t, path); uid != agentUID {
			t.Errorf("%s belongs to %d after a refused prepare", path, uid)
		}
	}
	for path, mode := range map[string]os.FileMode{outside: os.ModeDir | 0o700, filepath.Join(outside, "secret"): 0o600} {
		info, err := os.Stat(path)
		must(t, err)
		if ownerOf(t, path) != 0 || info.Mode() != mode {
			t.Errorf("%s: %v, owner %d", path, info.Mode(), ownerOf(t, path))
		}
	}
	w.ok("sandbox.prepare", map[string]any{"slot": 1, "sandbox": "sb-a", "files": []string{"disk"}})
	w.ok("sandbox.prepare", map[string]any{"slot": 1, "sandbox": "sb-a", "files": []string{"disk"}})
	if uid := ownerOf(t, filepath.Join(d, "disk")); uid != vmmUIDBase+1 {
		t.Errorf("disk belongs to %d", uid)
	}
	// A sandbox that wakes in another slot.
	w.ok("sandbox.prepare", map[string]any{"slot": 2, "sandbox": "sb-a", "files": []string{"disk"}})

	// node-agent owns what is above its sandboxes, so it could put a link there, too.
	must(t, os.Rename(sandboxes, sandboxes+".away"))
	must(t, os.Symlink(sandboxes+".away", sandboxes))
	if a := w.call("sandbox.prepare", map[string]any{"slot": 1, "sandbox": "sb-a", "files": []string{}}); a.Error == nil {
		t.Error("a link in place of sandbox_root was followed")
	}
}

// mineLink only names: what follows creates it.
func mineLink(path string) string { return path }

func ownerOf(t *testing.T, path string) int {
	t.Helper()
	var stat unix.Stat_t
	must(t, unix.Lstat(path, &stat))
	return int(stat.Uid)
}

func TestStartRefusesWhatItDoesNotKnow(t *testing.T) {
	w := newWorld(t)
	must(t, os.MkdirAll(filepath.Join(w.dir, "images", imageDigest), 0o755))
	good := func() map[string]any {
		r := startRequest(1, "sb-a", false)
		return r
	}
	change := func(key string, value any) map[string]any {
		r := good()
		r[key] = value
		return r
	}
	w.refused("not_found", "vmm.start", good()) // no slot yet
	w.ok("slot.create", slotArgs{1})
	w.refused("not_found", "vmm.start", good()) // no sandbox yet
	w.sandbox("sb-a", 1)
	for _, r := range []map[string]any{
		change("slot", 0), change("sandbox", "../x"), change("driver", "cloudhypervisor"), change("driver", ""), change("driver", "/bin/sh"),
		change("image", "../images"), change("image", "a/b"), change("template", ".."), change("template", "A"),
		change("memory_mib", 0), change("memory_mib", 1<<40), change("memory_mib", memoryMiB+1), change("vcpus", 0), change("vcpus", 2), change("vcpus", 1000),
		change("args", []string{}), change("args", []string{"-nodefaults"}), change("own", false), change("template", templateDigest), change("env", "x"),
		change("args", append(qemuArgs("/sandbox/ram", "on", false), "-monitor", "tcp:0.0.0.0:4444,server")),
		change("args", append(qemuArgs("/sandbox/ram", "on", false), "-chardev", "socket,id=x,host=192.0.2.1,port=1")),
		change("args", append(qemuArgs("/sandbox/ram", "on", false), "-drive", "if=none,id=x,file=/etc/shadow,format=raw")),
		change("args", qemuArgs("/proc/self/fd/4", "off", true)), // no template in the request
		change("args", qemuArgs("/etc/shadow", "on", false)),
	} {
		w.refused("invalid", "vmm.start", r)
	}
	w.refused("not_found", "vmm.start", change("image", "ffff"))
	// Its own state has to be a plain file, with one name.
	state := filepath.Join(w.dir, "sandboxes", "sb-a", "state")
	must(t, os.Remove(state))
	w.refused("not_found", "vmm.start", good())
	for _, plant := range []func() error{
		func() error { return os.Symlink("/etc/shadow", state) },
		func() error { return unix.Mkfifo(state, 0o666) },
		func() error { return os.Link(filepath.Join(w.dir, "sandboxes", "sb-a", "disk.ext4"), state) },
	} {
		must(t, plant())
		w.refused("invalid", "vmm.start", good())
		must(t, os.Remove(state))
	}
	must(t, os.WriteFile(state, nil, 0o644))
	w.refused("not_found", "vmm.start", merge(startRequest(1, "sb-a", true), map[string]any{"template": "ffff"}))
	w.refused("not_found", "template.load", map[string]any{"template": "ffff"})
	w.refused("invalid", "template.load", map[string]any{"template": "../../etc"})

	// Another slot's sandbox, one that was not prepared, and a program that cannot start.
	w.ok("slot.create", slotArgs{2})
	w.refused("invalid", "vmm.start", merge(good(), map[string]any{"slot": 2}))
	raw := filepath.Join(w.dir, "sandboxes", "sb-raw")
	must(t, os.Mkdir(raw, 0o755))
	must(t, os.Chown(raw, agentUID, agentGID))
	w.refused("invalid", "vmm.start", change("sandbox", "sb-raw"))
	if pid := w.vmmPID(1); pid != 0 {
		t.Errorf("pid %d runs after refusals", pid)
	}
	// After all that the slot's tap is free and whole.
	tap := w.tap(w.slot(1), "tap0")
	must(t, tap.Close())
}

func merge(a, b map[string]any) map[string]any {
	for k, v := range b {
		a[k] = v
	}
	return a
}

func TestTemplatesMustBePlainFiles(t *testing.T) {
	w := newWorld(t)
	root := filepath.Join(w.dir, "templates")
	for name, make := range map[string]func(ram string) error{
		"empty":   func(ram string) error { return os.WriteFile(ram, nil, 0o644) },
		"odd":     func(ram string) error { return os.WriteFile(ram, []byte("x"), 0o644) },
		"link":    func(ram string) error { return os.Symlink("/etc/passwd", ram) },
		"fifo":    func(ram string) error { return unix.Mkfifo(ram, 0o666) },
		"zero":    func(ram string) error { return unix.Mknod(ram, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))) },
		"too-big": func(ram string) error { return errors.Join(os.WriteFile(ram, nil, 0o644), os.Truncate(ram, 65<<30)) },
	} {
		must(t, os.Mkdir(filepath.Join(root, name), 0o755))
		must(t, make(filepath.Join(root, name, "ram")))
		if a := w.call("template.load", map[string]any{"template": name}); a.Error == nil {
			t.Errorf("%s was loaded", name)
		}
	}
	must(t, os.Mkdir(filepath.Join(root, "good"), 0o755))
	ram := filepath.Join(root, "good", "ram")
	must(t, os.WriteFile(ram, []byte("head"), 0o644))
	must(t, os.Truncate(ram, 1<<30)) // a hole of a gibibyte costs nothing
	w.ok("template.load", map[string]any{"template": "good"})
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", w.serve.Process.Pid))
	for _, fd := range fds {
		target, _ := os.Readlink(fd)
		if !strings.HasPrefix(target, "/memfd:template-good") {
			continue
		}
		var stat unix.Stat_t
		must(t, unix.Stat(fd, &stat))
		if stat.Size != 1<<30 || stat.Blocks > 64 {
			t.Errorf("size %d, %d blocks", stat.Size, stat.Blocks)
		}
		for range 2 {
			w.ok("template.forget", map[string]any{"template": "good"})
		}
		if after, err := os.Readlink(fd); err == nil && after == target {
			t.Error("what was forgotten is still held")
		}
		w.refused("invalid", "template.forget", map[string]any{"template": "../good"})
		return
	}
	t.Error("no memfd of the template")
}

func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	c, err := net.Dial("unix", w.socket)
	must(t, err)
	defer c.Close()
	encoder, decoder := json.NewEncoder(c), json.NewDecoder(c)
	const rounds = 3
	go func() {
		id := 0
		for range rounds {
			for slot := 1; slot <= 9; slot++ {
				for _, verb := range []string{"slot.create", "slot.create", "vmm.stop", "slot.destroy"} {
					id++
					_ = encoder.Encode(map[string]any{"id": id, "verb": verb, "args": slotArgs{slot}})
				}
			}
		}
	}()
	seen := map[int64]bool{}
	for range rounds * 9 * 4 {
		var a answer
		must(t, decoder.Decode(&a))
		if seen[a.ID] {
			t.Errorf("id %d answered twice", a.ID)
		}
		seen[a.ID] = true
		if a.Error != nil {
			t.Errorf("%d: %s: %s", a.ID, a.Error.Code, a.Error.Message)
		}
	}
	for slot := 1; slot <= 9; slot++ {
		w.ok("slot.create", slotArgs{slot})
	}
}

func TestOnlyOneHelperPerMesh(t *testing.T) {
	w := newWorld(t)
	out, err := exec.Command(helperBinary, "serve", "--config", w.config).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "another helper serves this mesh") {
		t.Errorf("a second helper: %v %s", err, out)
	}
	w.ok("slot.list", struct{}{})
}

func TestGatewayExecRefuses(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{
		{}, {"--mesh", w.mesh}, {"--mesh", w.mesh, "--user", "nobody"}, {"--mesh", w.mesh, "--user", "nobody", "--", "sh"},
		{"--mesh", w.mesh, "--user", "root", "--", "/bin/true"}, {"--mesh", w.mesh, "--user", "no-such-user", "--", "/bin/true"},
		{"--mesh", "../x", "--user", "nobody", "--", "/bin/true"}, {"--mesh", "", "--user", "nobody", "--", "/bin/true"},
		{"--mesh", w.mesh, "--user", "nobody", "--", "/no/such/program"},
	} {
		if out, err := exec.Command(helperBinary, append([]string{"gateway-exec"}, args...)...).CombinedOutput(); err == nil {
			t.Errorf("gateway-exec %v: %s", args, out)
		}
	}
}
