//go:build vm

// Package vm proves the agent and the image in real virtual machines: a template is booted and snapshot once, and clones
// of it are restored copy-on-write, each in a network namespace of its own.
//
//	COFFERDAM_IMAGE=<directory that deploy/image/build.sh printed> go test -tags vm -v ./vm
//
// Needs root and QEMU. Nothing of it reaches the machine's network.
package vm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/status"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
)

// template boots the image once, prepares it and leaves ram, state and disk in its directory.
func template(t *testing.T, image string) (directory string) {
	directory = t.TempDir()
	copyDisk(t, filepath.Join(image, "disk.ext4"), filepath.Join(directory, "disk"))
	s := newSlot(t)
	h := launch(t, s, image, directory, directory+"/ram", directory+"/disk", true)
	g := connect(t, s)
	t.Logf("cold boot to agent answering: %v", time.Since(h.started).Round(time.Millisecond))
	if _, err := g.try("true"); status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("a process before Configure: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(image, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		WarmUp []string `json:"warm_up"`
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if _, err := guestv1.NewGuestServiceClient(g.connection).PrepareSnapshot(g.context(),
		&guestv1.PrepareSnapshotRequest{WarmUp: manifest.WarmUp}); err != nil {
		t.Fatal(err)
	}
	t.Logf("prepared: %v", time.Since(begin).Round(time.Millisecond))
	for g.connection.GetState() == connectivity.Ready {
		if !g.connection.WaitForStateChange(g.context(), connectivity.Ready) {
			t.Fatal("the agent did not close its connection after PrepareSnapshot")
		}
	}
	begin = time.Now()
	h.snapshot(directory + "/state")
	t.Logf("snapshot: %v", time.Since(begin).Round(time.Millisecond))
	h.command("quit", nil)
	_ = h.process.Wait()
	return directory
}

// clone restores a template into a slot of its own.
func clone(t *testing.T, image, template string, volumes ...string) (*hypervisor, *guest) {
	directory := t.TempDir()
	copyDisk(t, template+"/disk", directory+"/disk")
	s := newSlot(t)
	h := launch(t, s, image, directory, template+"/ram", directory+"/disk", false, volumes...)
	monitor := time.Since(h.started)
	h.restore(template + "/state")
	restored := time.Since(h.started)
	g := connect(t, s)
	t.Logf("clone: monitor %v, restored %v, agent answers %v", monitor.Round(time.Millisecond), restored.Round(time.Millisecond),
		time.Since(h.started).Round(time.Millisecond))
	return h, g
}

func TestClonesOfOneTemplate(t *testing.T) {
	image := os.Getenv("COFFERDAM_IMAGE")
	if image == "" {
		t.Fatal("COFFERDAM_IMAGE must name an image's directory")
	}
	made := template(t, image)
	authority := newAuthority(t)
	first, a := clone(t, image, made)
	second, b := clone(t, image, made)

	if _, err := a.try("true"); status.Code(err) != codes.FailedPrecondition {
		t.Fatalf("a process before Configure in a clone: %v", err)
	}
	begin := time.Now()
	a.configure("first", authority.pem, map[string]string{"API_KEY": "placeholder"})
	t.Logf("configured: %v, since process start %v", time.Since(begin).Round(time.Millisecond), time.Since(first.started).Round(time.Millisecond))
	b.configure("second", "", nil)

	for _, argv := range [][]string{{"true"}, {"true"}, {"true"}, {"python3", "-c", "print(1)"}, {"python3", "-c", "print(1)"}, {"curl", "--version"}, {"curl", "--version"}} {
		t.Logf("exec %v: %v", argv, a.run(argv...).took.Round(time.Millisecond))
	}
	t.Logf("private memory: %d and %d MiB", first.privateMemory(), second.privateMemory())

	t.Run("the guests differ in all that must be unique", func(t *testing.T) {
		for _, script := range []string{"hostname", "cat /etc/machine-id", "head -c 32 /dev/urandom | base64", "python3 -c 'import uuid; print(uuid.uuid4())'"} {
			if x, y := a.run("sh", "-c", script).stdout, b.run("sh", "-c", script).stdout; x == y || x == "" {
				t.Errorf("%s: %q and %q", script, x, y)
			}
		}
	})
	t.Run("a call without the token is refused", func(t *testing.T) {
		if _, err := (&guest{t: t, connection: a.connection}).try("true"); status.Code(err) != codes.Unauthenticated {
			t.Error(err)
		}
	})
	t.Run("the environment and the system are as promised", func(t *testing.T) {
		for script, expected := range map[string]string{
			"echo $API_KEY":        "placeholder",
			"cat /etc/resolv.conf": "nameserver 198.18.0.1",
			"ip -4 -o addr show eth0 | grep -o '169.*/30'":      "169.254.0.21/30",
			"ip route show default":                             "default via 169.254.0.22 dev eth0",
			"id -un":                                            "root",
			"findmnt -no FSTYPE / || stat -f -c %T /":           "overlay",
			"readlink -f /dev/stdin < /dev/null":                "/dev/null",
			"getent hosts first | awk '{print $1}'":             "127.0.1.1",
			"ls -d /mod /init /image /disk 2>/dev/null | wc -l": "0",
			"mv /usr/share/perl /usr/share/perl.moved && mv /usr/share/perl.moved /usr/share/perl && echo moved": "moved",
			"ip -6 addr show dev eth0 | wc -l":       "0",
			"ps -eo stat= | grep -c '^Z'; true":      "0",
			"kill -TERM 1; kill -KILL 1; echo alive": "alive",
		} {
			if got := strings.TrimSpace(a.run("sh", "-c", script).stdout); !strings.HasPrefix(got, expected) {
				t.Errorf("%s: %q, expected %q", script, got, expected)
			}
		}
	})
	t.Run("terminals and other users work", func(t *testing.T) {
		a := &guest{t: t, connection: a.connection, token: a.token}
		r := a.finish(&v1.ProcessSpec{
			Argv: []string{"sh", "-c", "stty size; tty; id -un; echo hi > /dev/tty"}, User: "nobody",
			Terminal: &v1.TerminalSize{Rows: 40, Columns: 100},
		})
		if r.stdout != "40 100\r\n/dev/pts/0\r\nnobody\r\nhi\r\n" {
			t.Errorf("%q", r.stdout)
		}
	})
	t.Run("the clock is the host's", func(t *testing.T) {
		seconds := a.run("date", "+%s").stdout
		now := time.Now()
		var guestTime time.Time
		if d, err := time.ParseDuration(strings.TrimSpace(seconds) + "s"); err == nil {
			guestTime = time.Unix(0, 0).Add(d)
		}
		if gap := now.Sub(guestTime).Abs(); gap > 5*time.Second {
			t.Errorf("guest's clock %v, host's %v", guestTime, now)
		}
	})
	t.Run("volumes are mounted and outlive their guest", func(t *testing.T) { keepsVolumes(t, image, made) })
	t.Run("clients trust the sandbox's root with no step by the user", func(t *testing.T) { trusts(t, a, b, authority) })
}
