package roottest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cofferdam.dev/node-helper/internal/netspace"
	"golang.org/x/sys/unix"
)

const (
	agentUID   = 51500
	agentGID   = 51500
	vmmUIDBase = 51000
	patience   = 20 * time.Second
)

var meshes atomic.Int32

// world is one host with one mesh: the helper runs in it, an uplink counts what leaves.
type world struct {
	t      testing.TB
	mesh   string
	dir    string
	config string
	socket string
	host   *os.File
	uplink *counter

	mu     sync.Mutex
	serve  *exec.Cmd
	stderr *os.File
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes namespaces, devices and firewall rules")
	}
}

func newWorld(t testing.TB) *world { return newWorldOf(t, "/usr/bin/qemu-system-x86_64") }

// newWorldOf is a world whose VMM is that program.
func newWorldOf(t testing.TB, vmm string) *world {
	needRoot(t)
	w := &world{t: t, mesh: fmt.Sprintf("nt%d%s", os.Getpid()%10000, strconv.FormatInt(int64(meshes.Add(1)), 36))}
	// Not t.TempDir: its path is made of the test's name and too long for a socket.
	dir, err := os.MkdirTemp("", "nh-")
	must(t, err)
	w.dir = dir
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	for _, d := range []string{"run", "sandboxes", "templates", "images", "volumes"} {
		must(t, os.MkdirAll(filepath.Join(dir, d), 0o755))
	}
	for _, d := range []string{"sandboxes", "volumes"} {
		must(t, os.Chown(filepath.Join(dir, d), agentUID, agentGID))
	}
	w.socket = filepath.Join(dir, "run", "helper.sock")
	w.config = filepath.Join(dir, "helper.json")
	text, err := json.Marshal(map[string]any{
		"mesh": w.mesh, "socket": w.socket, "agent_uid": agentUID, "agent_gid": agentGID, "slot_prefix": "100.80.0.0/16",
		"sandbox_root": filepath.Join(dir, "sandboxes"), "template_root": filepath.Join(dir, "templates"),
		"image_root": filepath.Join(dir, "images"), "made_image_root": filepath.Join(dir, "made-images"), "volume_root": filepath.Join(dir, "volumes"), "link_root": filepath.Join(dir, "run", "links"),
		"vmm_uid_base": vmmUIDBase, "max_slots": 9, "qemu": vmm, "cloud_hypervisor": os.Getenv("COFFERDAM_CLOUD_HYPERVISOR"),
	})
	must(t, err)
	must(t, os.WriteFile(w.config, text, 0o600))
	w.makeHost()
	w.start()
	t.Cleanup(w.end)
	return w
}

// makeHost builds the host's namespace, a router as any Docker host is, and the uplink's.
func (w *world) makeHost() {
	w.host = w.namespace("host")
	up := w.namespace("up")
	w.in(w.host, "ip", "link", "add", "uplink", "type", "veth", "peer", "name", "world", "netns", filepath.Base(up.Name()))
	for _, c := range []string{
		"sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1", "ip link set lo up", "ip addr add 192.0.2.10/24 dev uplink",
		"ip link set uplink up", "ip route add default via 192.0.2.1",
	} {
		w.in(w.host, strings.Fields(c)...)
	}
	for _, c := range []string{
		"sysctl -qw net.ipv6.conf.all.disable_ipv6=1", "ip link set lo up", "ip addr add 192.0.2.1/24 dev world", "ip addr add 198.51.100.1/24 dev world",
		"ip addr add 203.0.113.1/24 dev world", "ip addr add 169.254.169.254/32 dev world", "ip link set world up", "ip route add 100.80.0.0/16 via 192.0.2.10",
	} {
		w.in(up, strings.Fields(c)...)
	}
	w.uplink = w.count(up, "world")
}

func (w *world) namespace(role string) *os.File {
	name := w.mesh + "x" + role
	must(w.t, netspace.Create(name))
	w.t.Cleanup(func() { _ = netspace.Delete(name) })
	return w.open(name)
}

func (w *world) open(name string) *os.File {
	w.t.Helper()
	ns, err := netspace.Open(name)
	must(w.t, err)
	w.t.Cleanup(func() { ns.Close() })
	return ns
}

func (w *world) slot(n int) *os.File { return w.open(fmt.Sprintf("%s-s%d", w.mesh, n)) }
func (w *world) gate() *os.File      { return w.open(w.mesh + "-gate") }

// in runs a command inside a namespace and returns what it printed.
func (w *world) in(ns *os.File, command ...string) string {
	w.t.Helper()
	var out strings.Builder
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	must(w.t, netspace.Do(ns, cmd.Start))
	if err := cmd.Wait(); err != nil {
		w.t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out.String())
	}
	return out.String()
}

// start runs the helper and waits until it answers.
func (w *world) start() {
	w.t.Helper()
	log, err := os.OpenFile(filepath.Join(w.dir, "helper.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600)
	must(w.t, err)
	defer log.Close()
	cmd := exec.Command(helperBinary, "serve", "--config", w.config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{}
	must(w.t, netspace.Do(w.host, cmd.Start))
	w.serve = cmd
	w.eventually("the helper answers", func() bool {
		c, err := net.Dial("unix", w.socket)
		if err != nil {
			return false
		}
		defer c.Close()
		_, err = c.Write([]byte(`{"id":1,"verb":"slot.list"}` + "\n"))
		if err != nil {
			return false
		}
		_, err = bufio.NewReader(c).ReadString('\n')
		return err == nil
	})
}

// kill9 ends the helper as a crash would.
func (w *world) kill9() {
	w.t.Helper()
	must(w.t, w.serve.Process.Kill())
	_ = w.serve.Wait()
}

func (w *world) end() {
	_ = w.serve.Process.Kill()
	_ = w.serve.Wait()
	if w.t.Failed() {
		log, _ := os.ReadFile(filepath.Join(w.dir, "helper.log"))
		w.t.Logf("helper's log:\n%s", log)
		files, _ := filepath.Glob(filepath.Join(w.dir, "sandboxes", "*", "*.log"))
		for _, f := range files {
			text, _ := os.ReadFile(f)
			w.t.Logf("%s:\n%s", f, text)
		}
	}
	out, err := exec.Command(helperBinary, "teardown", "--config", w.config).CombinedOutput()
	if err != nil {
		w.t.Errorf("teardown: %v: %s", err, out)
	}
	names, _ := netspace.List()
	for _, name := range names {
		if strings.HasPrefix(name, w.mesh+"-") {
			w.t.Errorf("namespace %s is left after teardown", name)
		}
	}
	groups, _ := filepath.Glob("/sys/fs/cgroup/*/cofferdam/" + w.mesh)
	if len(groups) != 0 {
		w.t.Errorf("cgroups are left after teardown: %v", groups)
	}
}

// eventually waits for a state that nothing announces.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// answer is the helper's, as it stands on the wire.
type answer struct {
	ID    int64           `json:"id"`
	OK    json.RawMessage `json:"ok"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// raw sends one line and returns the answer's line.
func (w *world) raw(line string) (answer, error) {
	c, err := net.Dial("unix", w.socket)
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	must(w.t, c.SetDeadline(time.Now().Add(patience)))
	if _, err := c.Write([]byte(line + "\n")); err != nil && !errors.Is(err, unix.EPIPE) {
		return answer{}, err
	}
	text, err := bufio.NewReader(c).ReadBytes('\n')
	if err != nil {
		return answer{}, err
	}
	var a answer
	return a, json.Unmarshal(text, &a)
}

func (w *world) call(verb string, args any) answer {
	w.t.Helper()
	text, err := json.Marshal(map[string]any{"id": 7, "verb": verb, "args": args})
	must(w.t, err)
	a, err := w.raw(string(text))
	must(w.t, err)
	return a
}

// ok calls a verb that must succeed.
func (w *world) ok(verb string, args any) json.RawMessage {
	w.t.Helper()
	a := w.call(verb, args)
	if a.Error != nil {
		w.t.Fatalf("%s %v: %s: %s", verb, args, a.Error.Code, a.Error.Message)
	}
	return a.OK
}

// refused calls a verb that must answer with the code.
func (w *world) refused(code, verb string, args any) {
	w.t.Helper()
	a := w.call(verb, args)
	if a.Error == nil {
		w.t.Errorf("%s %v: answered %s, expected %s", verb, args, a.OK, code)
	} else if a.Error.Code != code {
		w.t.Errorf("%s %v: %s: %s, expected %s", verb, args, a.Error.Code, a.Error.Message, code)
	}
}

type slotArgs struct {
	Slot int `json:"slot"`
}

type stopArgs struct {
	Slot      int    `json:"slot"`
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"`
}

// vmmPID is the live process of the slot's uid, 0 if there is none.
func (w *world) vmmPID(slot int) int {
	w.t.Helper()
	uid := fmt.Sprintf("\nUid:\t%d\t", vmmUIDBase+slot)
	files, err := filepath.Glob("/proc/[0-9]*/status")
	must(w.t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil && strings.Contains(string(text), uid) && !strings.Contains(string(text), "\nState:\tZ") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			must(w.t, err)
			return pid
		}
	}
	return 0
}

// drop is one line of drops.watch.
type drop struct {
	Slot        int    `json:"slot"`
	Protocol    string `json:"protocol"`
	Destination string `json:"destination"`
	Port        int    `json:"port"`
	Count       int64  `json:"count"`
	FirstTimeMs int64  `json:"first_time_ms"`
}

func (d drop) String() string {
	return fmt.Sprintf("%d %s %s %d", d.Slot, d.Protocol, d.Destination, d.Port)
}

// watch collects drops for the rest of the test.
func (w *world) watch() *watcher {
	w.t.Helper()
	c, err := net.Dial("unix", w.socket)
	must(w.t, err)
	w.t.Cleanup(func() { c.Close() })
	_, err = c.Write([]byte(`{"id":3,"verb":"drops.watch","args":{}}` + "\n"))
	must(w.t, err)
	lines := bufio.NewScanner(c)
	if !lines.Scan() || lines.Text() != `{"id":3,"ok":{}}` {
		w.t.Fatalf("drops.watch: %q", lines.Text())
	}
	watcher := &watcher{world: w, seen: map[string]int64{}}
	go func() {
		for lines.Scan() {
			var l struct {
				Drop drop `json:"drop"`
			}
			if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
				w.t.Errorf("drops.watch: %q: %v", lines.Text(), err)
				continue
			}
			watcher.mu.Lock()
			watcher.seen[l.Drop.String()] += l.Drop.Count
			watcher.mu.Unlock()
		}
	}()
	return watcher
}

type watcher struct {
	world *world
	mu    sync.Mutex
	seen  map[string]int64
}

func (r *watcher) count(d drop) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[d.String()]
}

func (r *watcher) expect(d drop) {
	r.world.t.Helper()
	deadline := time.Now().Add(patience)
	for r.count(d) == 0 {
		if time.Now().After(deadline) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.world.t.Errorf("no drop line %q; seen: %v", d, r.seen)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// counter counts the frames that arrive at a device (not those that leave by it).
type counter struct {
	mu     sync.Mutex
	frames [][]byte
}

func (w *world) count(ns *os.File, device string) *counter {
	w.t.Helper()
	fd := -1
	must(w.t, netspace.Do(ns, func() (err error) {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: 0x0300 /* ETH_P_ALL */, Ifindex: i.Index})
	}))
	file := os.NewFile(uintptr(fd), device)
	w.t.Cleanup(func() { file.Close() })
	c := &counter{}
	go func() {
		raw, err := file.SyscallConn()
		if err != nil {
			return
		}
		buffer := make([]byte, 65536)
		for {
			var n int
			var from unix.Sockaddr
			var inner error
			err := raw.Read(func(fd uintptr) bool {
				n, from, inner = unix.Recvfrom(int(fd), buffer, 0)
				return !errors.Is(inner, unix.EAGAIN)
			})
			if err != nil || inner != nil {
				return
			}
			if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
				continue
			}
			c.mu.Lock()
			c.frames = append(c.frames, append([]byte{}, buffer[:n]...))
			c.mu.Unlock()
		}
	}()
	return c
}

// ipFrames are the frames but for ARP: whoever resolves an address has not sent a packet yet.
func (c *counter) ipFrames() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out [][]byte
	for _, f := range c.frames {
		if len(f) < 14 || f[12] != 0x08 || f[13] != 0x06 {
			out = append(out, f)
		}
	}
	return out
}

func (c *counter) all() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.frames)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// statusOf reads a field of /proc/pid/status.
func statusOf(t testing.TB, pid int, field string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	must(t, err)
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	t.Fatalf("/proc/%d/status has no %s", pid, field)
	return ""
}
