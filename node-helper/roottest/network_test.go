package roottest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cofferdam.dev/node-helper/internal/netspace"
	"golang.org/x/sys/unix"
)

// gateway is the played egress gateway, started as the real one is.
type gateway struct {
	cmd      *exec.Cmd
	arrivals chan arrival
}

func (w *world) gateway() *gateway {
	w.t.Helper()
	binary, err := os.Executable()
	must(w.t, err)
	// The user cannot read the test binary's directory; a copy beside the sockets can be executed by all.
	program := w.dir + "/gateway"
	must(w.t, exec.Command("install", "-m", "755", binary, program).Run())
	g := &gateway{arrivals: make(chan arrival, 1000)}
	g.cmd = exec.Command(helperBinary, "gateway-exec", "--mesh", w.mesh, "--user", "nobody", "--", program)
	g.cmd.Env = []string{roleVariable + "=" + roleGateway}
	// Descriptors that happen to be open in the launcher must not reach the gateway.
	g.cmd.ExtraFiles = []*os.File{os.Stderr, os.Stderr, os.Stderr, os.Stderr, os.Stderr}
	out, err := g.cmd.StdoutPipe()
	must(w.t, err)
	g.cmd.Stderr = os.Stderr
	must(w.t, netspace.Do(w.host, g.cmd.Start))
	w.t.Cleanup(g.kill)
	go func() {
		defer close(g.arrivals)
		d := json.NewDecoder(out)
		for {
			var a arrival
			if d.Decode(&a) != nil {
				return
			}
			g.arrivals <- a
		}
	}()
	if a := g.next(w.t); a != (arrival{"ready", "tcp:3,dns-udp:4,dns-tcp:5", ""}) {
		w.t.Fatalf("gateway: %+v", a)
	}
	return g
}

func (g *gateway) kill() {
	if g.cmd.ProcessState == nil {
		_ = g.cmd.Process.Kill()
		_ = g.cmd.Wait()
	}
}

func (g *gateway) next(t testing.TB) arrival {
	t.Helper()
	select {
	case a, ok := <-g.arrivals:
		if !ok {
			t.Fatal("the gateway ended")
		}
		return a
	case <-time.After(patience):
		t.Fatal("nothing arrived at the gateway")
	}
	return arrival{}
}

func (g *guest) dial(network, address string) (net.Conn, error) {
	var c net.Conn
	err := g.do(func() (err error) {
		c, err = (&net.Dialer{Timeout: 3 * time.Second}).Dial(network, address)
		return err
	})
	return c, err
}

func (g *guest) echo(network, address string, size int) {
	t := g.world.t
	t.Helper()
	c, err := g.dial(network, address)
	must(t, err)
	defer c.Close()
	must(t, c.SetDeadline(time.Now().Add(patience)))
	sent := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(sent, got) {
		t.Fatalf("%s %s: echo of %d bytes: %v", network, address, size, err)
	}
}

func TestTCPMeetsTheGatewayWithItsOriginalDestination(t *testing.T) {
	w := newWorld(t)
	gateway := w.gateway()
	for _, slot := range []int{1, 2} {
		g := w.guest(slot)
		from := fmt.Sprintf("100.80.0.%d:", slot)
		for _, to := range []string{"203.0.113.7:443", "198.18.3.4:80", "169.254.169.254:80", "192.0.2.10:7400"} {
			g.echo("tcp", to, 1<<20)
			if a := gateway.next(t); a.Kind != "tcp" || a.Local != to || !strings.HasPrefix(a.Remote, from) {
				t.Errorf("arrived %+v, expected tcp to %s from %s", a, to, from)
			}
		}
		g.echo("tcp", "198.18.0.1:53", 1024)
		if a := gateway.next(t); a.Kind != "dns-tcp" || !strings.HasPrefix(a.Remote, from) {
			t.Errorf("arrived %+v, expected dns-tcp", a)
		}
		g.echo("udp", "198.18.0.1:53", 512)
		if a := gateway.next(t); a.Kind != "dns-udp" || !strings.HasPrefix(a.Remote, from) {
			t.Errorf("arrived %+v, expected dns-udp", a)
		}
	}
	if n := w.uplink.ipFrames(); len(n) != 0 {
		t.Errorf("%d packets at the uplink", len(n))
	}
}

func TestGatewayHasNeitherPrivilegesNorTheGatesNamespace(t *testing.T) {
	w := newWorld(t)
	pid := w.gateway().cmd.Process.Pid
	for field, want := range map[string]string{
		"Uid": "65534 65534 65534 65534", "Gid": "65534 65534 65534 65534", "Groups": "", "NoNewPrivs": "1", "CapInh": "0000000000000000",
		"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapAmb": "0000000000000000",
	} {
		if got := statusOf(t, pid, field); got != want {
			t.Errorf("%s: %q, expected %q", field, got, want)
		}
	}
	var own, host unix.Stat_t
	must(t, unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &own))
	must(t, unix.Fstat(int(w.host.Fd()), &host))
	if own.Ino != host.Ino {
		t.Error("the gateway does not live in the host's namespace")
	}
	for fd := 3; fd <= 8; fd++ {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
		isSocket := err == nil && strings.HasPrefix(target, "socket:")
		if fd <= 5 && !isSocket {
			t.Errorf("descriptor %d is %q, expected a socket", fd, target)
		}
		if stderr, _ := os.Readlink("/proc/self/fd/2"); fd > 5 && err == nil && target == stderr {
			t.Errorf("descriptor %d was inherited", fd)
		}
	}
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))
	must(t, err)
	if !strings.Contains(string(limits), "Max core file size        1                    1 ") {
		t.Errorf("core limit: %s", limits)
	}
}

// forbidden is everything a guest may try that is neither TCP nor DNS to the gateway.
func forbidden() map[string]struct {
	frame []byte
	drop  drop
} {
	type attempt = struct {
		frame []byte
		drop  drop
	}
	ip := netip.MustParseAddr
	outside, host := ip("203.0.113.1"), ip("192.0.2.10")
	from := func(p ipv4) []byte { return ethernet(tapMAC, guestMAC, 0x0800, p.bytes()) }
	syn := func(to string, port uint16) []byte {
		return from(ipv4{from: guestIP, to: ip(to), protocol: 6, payload: tcp(guestIP, ip(to), 40000, port, flagSYN)})
	}
	spoofed := ip("10.9.9.9")
	return map[string]attempt{
		"udp":                   {from(ipv4{from: guestIP, to: outside, protocol: 17, payload: udp(40000, 9)}), drop{Protocol: "udp", Destination: "203.0.113.1", Port: 9}},
		"quic":                  {from(ipv4{from: guestIP, to: outside, protocol: 17, payload: udp(40000, 443)}), drop{Protocol: "udp", Destination: "203.0.113.1", Port: 443}},
		"udp to the host":       {from(ipv4{from: guestIP, to: host, protocol: 17, payload: udp(40000, 7410)}), drop{Protocol: "udp", Destination: "192.0.2.10", Port: 7410}},
		"udp to the gate":       {from(ipv4{from: guestIP, to: ip("198.18.0.1"), protocol: 17, payload: udp(40000, 54)}), drop{Protocol: "udp", Destination: "198.18.0.1", Port: 54}},
		"udp to the router":     {from(ipv4{from: guestIP, to: routerIP, protocol: 17, payload: udp(40000, 53)}), drop{Protocol: "udp", Destination: "169.254.0.22", Port: 53}},
		"mdns":                  {ethernet(net.HardwareAddr{1, 0, 0x5e, 0, 0, 0xfb}, guestMAC, 0x0800, ipv4{from: guestIP, to: ip("224.0.0.251"), protocol: 17, payload: udp(5353, 5353)}.bytes()), drop{Protocol: "udp", Destination: "224.0.0.251", Port: 5353}},
		"dhcp":                  {ethernet(broadcast, guestMAC, 0x0800, ipv4{from: guestIP, to: ip("255.255.255.255"), protocol: 17, payload: udp(68, 67)}.bytes()), drop{Protocol: "udp", Destination: "255.255.255.255", Port: 67}},
		"other dns server":      {from(ipv4{from: guestIP, to: ip("198.51.100.1"), protocol: 17, payload: udp(40000, 53)}), drop{Protocol: "udp", Destination: "198.51.100.1", Port: 53}},
		"dns to another mac":    {ethernet(otherMAC, guestMAC, 0x0800, ipv4{from: guestIP, to: ip("198.18.0.1"), protocol: 17, payload: udp(40000, 53)}.bytes()), drop{Protocol: "udp", Destination: "198.18.0.1", Port: 53}},
		"ping":                  {from(ipv4{from: guestIP, to: outside, protocol: 1, payload: []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}}), drop{Protocol: "icmp", Destination: "203.0.113.1"}},
		"ping the router":       {from(ipv4{from: guestIP, to: routerIP, protocol: 1, payload: []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}}), drop{Protocol: "icmp", Destination: "169.254.0.22"}},
		"icmp redirect":         {from(ipv4{from: guestIP, to: ip("198.18.0.1"), protocol: 1, payload: make([]byte, 36)}), drop{Protocol: "icmp", Destination: "198.18.0.1"}},
		"sctp":                  {from(ipv4{from: guestIP, to: outside, protocol: 132, payload: ports(1, 2, 8)}), drop{Protocol: "ip", Destination: "203.0.113.1", Port: 2}},
		"gre":                   {from(ipv4{from: guestIP, to: outside, protocol: 47, payload: make([]byte, 8)}), drop{Protocol: "ip", Destination: "203.0.113.1"}},
		"raw 255":               {from(ipv4{from: guestIP, to: outside, protocol: 255, payload: make([]byte, 8)}), drop{Protocol: "ip", Destination: "203.0.113.1"}},
		"ip in ip":              {from(ipv4{from: guestIP, to: outside, protocol: 4, payload: ipv4{from: guestIP, to: outside, protocol: 6}.bytes()}), drop{Protocol: "ip", Destination: "203.0.113.1"}},
		"igmp":                  {from(ipv4{from: guestIP, to: ip("224.0.0.22"), protocol: 2, payload: make([]byte, 8)}), drop{Protocol: "ip", Destination: "224.0.0.22"}},
		"first fragment":        {from(ipv4{from: guestIP, to: outside, protocol: 6, fragment: 0x2000, payload: tcp(guestIP, outside, 1, 444, flagSYN)}), drop{Protocol: "ip", Destination: "203.0.113.1", Port: 444}},
		"last fragment":         {from(ipv4{from: guestIP, to: outside, protocol: 6, fragment: 3, payload: make([]byte, 32)}), drop{Protocol: "ip", Destination: "203.0.113.1"}},
		"source route":          {from(ipv4{from: guestIP, to: outside, protocol: 6, options: []byte{131, 7, 4, 203, 0, 113, 1, 0}, payload: tcp(guestIP, outside, 1, 445, flagSYN)}), drop{Protocol: "ip", Destination: "203.0.113.1", Port: 445}},
		"cut tcp":               {from(ipv4{from: guestIP, to: outside, protocol: 6, payload: []byte{1}}), drop{Protocol: "tcp", Destination: "203.0.113.1"}},
		"tcp to router":         {syn("169.254.0.22", 22), drop{Protocol: "tcp", Destination: "169.254.0.22", Port: 22}},
		"tcp to gate":           {syn("198.18.0.1", 15001), drop{Protocol: "tcp", Destination: "198.18.0.1", Port: 15001}},
		"tcp to gate's lo":      {syn("127.0.0.1", 15001), drop{Protocol: "tcp", Destination: "127.0.0.1", Port: 15001}},
		"tcp to itself":         {syn("169.254.0.21", 1024), drop{Protocol: "tcp", Destination: "169.254.0.21", Port: 1024}},
		"tcp to own slot":       {syn("100.80.0.1", 80), drop{Protocol: "tcp", Destination: "100.80.0.1", Port: 80}},
		"tcp to another slot":   {syn("100.80.0.2", 80), drop{Protocol: "tcp", Destination: "100.80.0.2", Port: 80}},
		"tcp to multicast":      {syn("224.0.0.1", 80), drop{Protocol: "tcp", Destination: "224.0.0.1", Port: 80}},
		"tcp to zero":           {syn("0.0.0.0", 80), drop{Protocol: "tcp", Destination: "0.0.0.0", Port: 80}},
		"tcp to another mac":    {ethernet(otherMAC, guestMAC, 0x0800, ipv4{from: guestIP, to: outside, protocol: 6, payload: tcp(guestIP, outside, 1, 446, flagSYN)}.bytes()), drop{Protocol: "tcp", Destination: "203.0.113.1", Port: 446}},
		"link, opened by guest": {from(ipv4{from: guestIP, to: routerIP, protocol: 6, payload: tcp(guestIP, routerIP, 1024, 40000, flagSYN)}), drop{Protocol: "tcp", Destination: "169.254.0.22", Port: 40000}},
		"link, out of nowhere":  {from(ipv4{from: guestIP, to: routerIP, protocol: 6, payload: tcp(guestIP, routerIP, 1024, 40001, flagACK)}), drop{Protocol: "tcp", Destination: "169.254.0.22", Port: 40001}},
		"spoofed ip":            {from(ipv4{from: spoofed, to: outside, protocol: 6, payload: tcp(spoofed, outside, 1, 447, flagSYN)}), drop{Protocol: "spoofed", Destination: "203.0.113.1", Port: 447}},
		"spoofed as router":     {from(ipv4{from: routerIP, to: outside, protocol: 6, payload: tcp(routerIP, outside, 1, 448, flagSYN)}), drop{Protocol: "spoofed", Destination: "203.0.113.1", Port: 448}},
		"spoofed as a slot":     {from(ipv4{from: ip("100.80.0.2"), to: outside, protocol: 6, payload: tcp(ip("100.80.0.2"), outside, 1, 449, flagSYN)}), drop{Protocol: "spoofed", Destination: "203.0.113.1", Port: 449}},
		"spoofed dns":           {from(ipv4{from: ip("100.80.0.2"), to: ip("198.18.0.1"), protocol: 17, payload: udp(1, 53)}), drop{Protocol: "spoofed", Destination: "198.18.0.1", Port: 53}},
		"spoofed mac":           {ethernet(tapMAC, otherMAC, 0x0800, ipv4{from: guestIP, to: outside, protocol: 6, payload: tcp(guestIP, outside, 1, 450, flagSYN)}.bytes()), drop{Protocol: "spoofed", Destination: "203.0.113.1", Port: 450}},
		"arp for another":       {ethernet(broadcast, guestMAC, 0x0806, arp(1, guestMAC, guestIP, ip("192.0.2.10"))), drop{Protocol: "arp", Destination: "192.0.2.10"}},
		"arp as another":        {ethernet(broadcast, guestMAC, 0x0806, arp(1, guestMAC, ip("198.18.0.1"), routerIP)), drop{Protocol: "arp", Destination: "169.254.0.22"}},
		"arp reply":             {ethernet(tapMAC, guestMAC, 0x0806, arp(2, otherMAC, ip("198.18.0.1"), ip("169.254.0.20"))), drop{Protocol: "arp", Destination: "169.254.0.20"}},
		"ipv6 udp":              {ethernet(tapMAC, guestMAC, 0x86dd, ipv6("fd00::21", "2001:db8::1", 17, udp(1, 53))), drop{Protocol: "ipv6", Destination: "2001:db8::1", Port: 53}},
		"ipv6 tcp":              {ethernet(tapMAC, guestMAC, 0x86dd, ipv6("fd00::21", "2001:db8::2", 6, ports(1, 443, 16))), drop{Protocol: "ipv6", Destination: "2001:db8::2", Port: 443}},
		"neighbour discovery":   {ethernet(net.HardwareAddr{0x33, 0x33, 0xff, 0, 0, 1}, guestMAC, 0x86dd, ipv6("fe80::1", "ff02::1:ff00:1", 58, append([]byte{135, 0}, make([]byte, 22)...))), drop{Protocol: "ipv6", Destination: "ff02::1:ff00:1"}},
		"router solicitation":   {ethernet(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 2}, guestMAC, 0x86dd, ipv6("fe80::1", "ff02::2", 58, append([]byte{133, 0}, make([]byte, 6)...))), drop{Protocol: "ipv6", Destination: "ff02::2"}},
		"vlan":                  {ethernet(tapMAC, guestMAC, 0x8100, append([]byte{0, 5, 8, 0}, ipv4{from: guestIP, to: ip("203.0.113.99"), protocol: 6, payload: tcp(guestIP, outside, 1, 451, flagSYN)}.bytes()...)), drop{Protocol: "ip", Destination: "203.0.113.99", Port: 451}},
		"priority tag":          {ethernet(tapMAC, guestMAC, 0x8100, append([]byte{0, 0, 8, 0}, ipv4{from: guestIP, to: ip("203.0.113.98"), protocol: 6, payload: tcp(guestIP, outside, 1, 451, flagSYN)}.bytes()...)), drop{Protocol: "ip", Destination: "203.0.113.98", Port: 451}},
		"unknown ethertype":     {ethernet(tapMAC, guestMAC, 0x88b5, []byte("hello, hello, hello")), drop{Protocol: "ip"}},
		"empty frame":           {ethernet(tapMAC, guestMAC, 0x0800, nil), drop{Protocol: "ip"}},
		"ip version 6 as ipv4":  {ethernet(tapMAC, guestMAC, 0x0800, ipv6("fe80::1", "ff02::2", 58, make([]byte, 8))), drop{Protocol: "ip"}},
	}
}

func TestEverythingElseIsDroppedAndNamed(t *testing.T) {
	w := newWorld(t)
	gateway := w.gateway()
	drops := w.watch()
	g := w.guest(1)
	w.guest(2)
	atGate, atOther := w.count(w.gate(), "s1"), w.count(w.slot(2), "up0")
	attempts := forbidden()
	for _, a := range attempts {
		g.send(a.frame)
	}
	for name, a := range attempts {
		a.drop.Slot = 1
		t.Run(name, func(t *testing.T) { drops.expect(a.drop) })
	}
	// A packet that may pass, sent last, proves that the others would have arrived by now.
	g.echo("tcp", "203.0.113.7:443", 16)
	if a := gateway.next(t); a.Local != "203.0.113.7:443" {
		t.Errorf("the gateway saw %+v", a)
	}
	for _, f := range atGate.ipFrames() {
		if len(f) < 34 || !bytes.Equal(f[30:34], []byte{203, 0, 113, 7}) {
			t.Errorf("reached the gate: %x", f)
		}
	}
	if n := atOther.all(); n != 0 {
		t.Errorf("%d frames reached another slot", n)
	}
	if n := w.uplink.ipFrames(); len(n) != 0 {
		t.Errorf("%d packets at the uplink", len(n))
	}
}

// The guest's own kernel configures IPv6 by itself and announces it.
func TestIPv6ConfiguredByTheGuestGoesNowhere(t *testing.T) {
	w := newWorld(t)
	drops := w.watch()
	g := w.guest(1)
	atGate := w.count(w.gate(), "s1")
	w.in(g.ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.eth0.disable_ipv6=0")
	w.in(g.ns, "ip", "addr", "add", "2001:db8::21/64", "dev", "eth0", "nodad")
	w.in(g.ns, "ip", "-6", "route", "add", "default", "via", "2001:db8::1", "dev", "eth0")
	c, err := g.dial("udp", "[2001:db8:ffff::1]:53")
	must(t, err)
	defer c.Close()
	_, err = c.Write([]byte("question"))
	must(t, err)
	drops.expect(drop{Slot: 1, Protocol: "ipv6", Destination: "ff02::1:ff00:1"}) // neighbour solicitation for the router
	drops.expect(drop{Slot: 1, Protocol: "ipv6", Destination: "ff02::2"})        // router solicitation
	if n := len(atGate.ipFrames()) + len(w.uplink.ipFrames()); n != 0 {
		t.Errorf("%d packets left the slot", n)
	}
}

func TestWithoutAListenerNothingLeavesEvenARouter(t *testing.T) {
	w := newWorld(t)
	drops := w.watch()
	g := w.guest(1)
	// Worse than any host: the gate itself forwards and has the uplink as its default route.
	gate := w.gate()
	up := w.open(w.mesh + "xup")
	w.in(gate, "ip", "link", "add", "leak", "type", "veth", "peer", "name", "leaked", "netns", w.mesh+"xup")
	w.in(gate, "ip", "addr", "add", "198.51.100.2/24", "dev", "leak")
	w.in(gate, "ip", "link", "set", "leak", "up")
	w.in(up, "ip", "link", "set", "leaked", "up")
	w.in(gate, "ip", "route", "add", "default", "dev", "leak")
	w.in(gate, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	leaked := w.count(up, "leaked")

	gateway := w.gateway() // ensures the gate, whose settings it restores
	w.in(gate, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	gateway.kill()
	if _, err := g.dial("tcp", "203.0.113.1:443"); err == nil {
		t.Error("connected without a gateway")
	}
	drops.expect(drop{Slot: 1, Protocol: "tcp", Destination: "203.0.113.1", Port: 443})
	if n := len(leaked.ipFrames()) + len(w.uplink.ipFrames()); n != 0 {
		t.Errorf("%d packets left", n)
	}
	// The counter can count: without the gate's rules the same attempt does leave.
	w.in(gate, "nft", "flush", "ruleset")
	_, _ = g.dial("tcp", "203.0.113.1:443")
	w.eventually("a packet leaves a gate without rules", func() bool { return len(leaked.ipFrames()) > 0 })
}

// The second line: even a slot whose own rules failed cannot be another one.
func TestTheGatePinsASlotToItsAddress(t *testing.T) {
	w := newWorld(t)
	gateway := w.gateway()
	drops := w.watch()
	w.guest(1)
	g := w.guest(2)
	up := w.rawSocket(w.slot(1), "up0")
	inSlot, inGate := net.HardwareAddr{2, 0xcf, 1, 0, 0, 1}, net.HardwareAddr{2, 0xcf, 2, 0, 0, 1}
	to := netip.MustParseAddr("203.0.113.1")
	for _, from := range []string{"100.80.0.2", "169.254.0.21", "198.18.0.1", "127.0.0.1", "10.1.1.1"} {
		a := netip.MustParseAddr(from)
		_, err := up.Write(ethernet(inGate, inSlot, 0x0800, ipv4{from: a, to: to, protocol: 6, payload: tcp(a, to, 1, 443, flagSYN)}.bytes()))
		must(t, err)
	}
	drops.expect(drop{Slot: 1, Protocol: "spoofed", Destination: "203.0.113.1", Port: 443})
	g.echo("tcp", "203.0.113.9:443", 16)
	if a := gateway.next(t); a.Local != "203.0.113.9:443" {
		t.Errorf("the gateway saw %+v", a)
	}
}

func (w *world) rawSocket(ns *os.File, device string) *os.File {
	w.t.Helper()
	fd := -1
	must(w.t, netspace.Do(ns, func() error {
		i, err := net.InterfaceByName(device)
		if err != nil {
			return err
		}
		if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: i.Index})
	}))
	f := os.NewFile(uintptr(fd), device)
	w.t.Cleanup(func() { f.Close() })
	return f
}

// A VMM that was taken over is a process in the slot's namespace.
func TestAProcessInTheSlotCannotSpeak(t *testing.T) {
	w := newWorld(t)
	w.gateway()
	w.guest(1)
	atGate := w.count(w.gate(), "s1")
	for _, to := range []string{"203.0.113.1:443", "198.18.0.1:53", "169.254.0.21:22", "127.0.0.1:80"} {
		for _, network := range []string{"tcp", "udp"} {
			err := netspace.Do(w.slot(1), func() error {
				c, err := (&net.Dialer{Timeout: 300 * time.Millisecond}).Dial(network, to)
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = c.Write([]byte("x"))
				return err
			})
			if err == nil {
				t.Errorf("%s %s: no error", network, to)
			}
		}
	}
	if n := atGate.all(); n != 0 {
		t.Errorf("%d frames reached the gate", n)
	}
}

func TestTheLinkReachesTheGuestAlone(t *testing.T) {
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
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	talk := func() {
		t.Helper()
		c, err := net.Dial("unix", w.dir+"/run/links/1.sock")
		must(t, err)
		defer c.Close()
		must(t, c.SetDeadline(time.Now().Add(patience)))
		sent := bytes.Repeat([]byte("link"), 1<<18)
		go func() {
			_, _ = c.Write(sent)
			_ = c.(*net.UnixConn).CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, sent) {
			t.Fatalf("%d bytes of %d came back: %v", len(got), len(sent), err)
		}
	}
	talk()
	w.kill9()
	w.start()
	talk()
	w.ok("slot.destroy", slotArgs{1})
	if _, err := os.Stat(w.dir + "/run/links/1.sock"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link is left: %v", err)
	}
}

// What was dropped while nobody watched is told to the next watcher; after a restart the new helper reads on.
func TestDropsSurviveWatchersAndHelpers(t *testing.T) {
	w := newWorld(t)
	g := w.guest(1)
	send := func(port uint16) {
		g.send(ethernet(tapMAC, guestMAC, 0x0800, ipv4{from: guestIP, to: netip.MustParseAddr("203.0.113.1"), protocol: 17, payload: udp(1, port)}.bytes()))
	}
	send(1001)
	first := w.watch()
	first.expect(drop{Slot: 1, Protocol: "udp", Destination: "203.0.113.1", Port: 1001})
	w.kill9()
	w.start()
	second := w.watch()
	send(1002)
	second.expect(drop{Slot: 1, Protocol: "udp", Destination: "203.0.113.1", Port: 1002})
}

// What a guest did last is not lost with its slot: ending at once hides nothing.
func TestDropsSurviveTheirSlot(t *testing.T) {
	w := newWorld(t)
	g := w.guest(1)
	drops := w.watch()
	for port := range uint16(3) {
		g.send(ethernet(tapMAC, guestMAC, 0x0800, ipv4{from: guestIP, to: netip.MustParseAddr("203.0.113.1"), protocol: 17, payload: udp(1, 1001+port)}.bytes()))
	}
	w.ok("slot.destroy", slotArgs{1})
	for port := range 3 {
		drops.expect(drop{Slot: 1, Protocol: "udp", Destination: "203.0.113.1", Port: 1001 + port})
	}
}

// Whatever became of a slot's rules, also under a helper of another version: the next helper brings them back.
func TestARestartedHelperRenewsTheRules(t *testing.T) {
	w := newWorld(t)
	w.ok("slot.create", slotArgs{1})
	before := w.in(w.slot(1), "nft", "list", "ruleset")
	w.kill9()
	w.in(w.slot(1), "nft", "flush", "chain", "netdev", "cofferdam", "tap")
	w.in(w.slot(1), "nft", "delete", "table", "ip", "cofferdam")
	w.in(w.slot(1), "nft", "insert", "rule", "ip6", "cofferdam", "output", "accept")
	w.start()
	if after := w.in(w.slot(1), "nft", "list", "ruleset"); after != before {
		t.Errorf("the rules are\n%s\nexpected\n%s", after, before)
	}
}

func TestSlotsAreMadeAgainWhenBroken(t *testing.T) {
	w := newWorld(t)
	w.ok("slot.create", slotArgs{1})
	w.in(w.slot(1), "ip", "link", "del", "tap0")
	w.ok("slot.create", slotArgs{1})
	w.in(w.slot(1), "ip", "link", "show", "tap0")
	w.in(w.gate(), "ip", "link", "del", "s1")
	w.ok("slot.create", slotArgs{1})
	w.in(w.slot(1), "ip", "link", "show", "up0")
	w.ok("slot.destroy", slotArgs{1})
	w.ok("slot.destroy", slotArgs{1})
	names, err := netspace.List()
	must(t, err)
	for _, name := range names {
		if name == w.mesh+"-s1" {
			t.Error("the namespace is left")
		}
	}
}
