package roottest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strings"

	"cofferdam.dev/node-helper/internal/netspace"
	"golang.org/x/sys/unix"
)

const vnetHeader = 10

var (
	guestMAC  = net.HardwareAddr{0x02, 0xcf, 0, 0, 0, 0x15}
	tapMAC    = net.HardwareAddr{0x02, 0xcf, 0, 0, 0, 0x16}
	otherMAC  = net.HardwareAddr{0x02, 0xcf, 0, 0, 0, 0x17}
	broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	guestIP   = netip.MustParseAddr("169.254.0.21")
	routerIP  = netip.MustParseAddr("169.254.0.22")
)

// guest stands in for a VM at its exact place: it holds the slot's tap as a VMM does. Its kernel is a namespace of this machine whose own tap is
// wired to the slot's; frames of any kind can be sent beside it.
type guest struct {
	world *world
	slot  int
	tap   *os.File // the slot's
	ns    *os.File
}

func (w *world) guest(slot int) *guest {
	w.t.Helper()
	w.ok("slot.create", slotArgs{slot})
	g := &guest{world: w, slot: slot}
	g.tap = w.tap(w.slot(slot), "tap0")
	g.ns = w.namespace("g" + string(rune('0'+slot)))
	card := w.tap(g.ns, "eth0")
	for _, c := range []string{
		"sysctl -qw net.ipv6.conf.all.disable_ipv6=1", "ip link set eth0 address 02:cf:00:00:00:15", "ip addr add 169.254.0.21/30 dev eth0",
		"ip link set lo up", "ip link set eth0 up", "ip route add default via 169.254.0.22",
	} {
		w.in(g.ns, strings.Fields(c)...)
	}
	wire := func(from, to *os.File) {
		buffer := make([]byte, 65536)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	go wire(g.tap, card)
	go wire(card, g.tap)
	return g
}

func (w *world) tap(ns *os.File, name string) *os.File {
	w.t.Helper()
	fd := -1
	must(w.t, netspace.Do(ns, func() (err error) {
		if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
		return unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}))
	// After TUNSETIFF: the poller looks at the device.
	tap := os.NewFile(uintptr(fd), name)
	w.t.Cleanup(func() { tap.Close() })
	return tap
}

// send puts a frame on the slot's tap as a hostile guest can.
func (g *guest) send(frame []byte) {
	g.world.t.Helper()
	_, err := g.tap.Write(append(make([]byte, vnetHeader), frame...))
	must(g.world.t, err)
}

// do runs f as a process of the guest would.
func (g *guest) do(f func() error) error { return netspace.Do(g.ns, f) }

func ethernet(to, from net.HardwareAddr, kind uint16, payload []byte) []byte {
	frame := append(append([]byte{}, to...), from...)
	frame = binary.BigEndian.AppendUint16(frame, kind)
	return append(frame, payload...)
}

type ipv4 struct {
	from, to netip.Addr
	protocol byte
	fragment uint16
	options  []byte
	payload  []byte
}

func (p ipv4) bytes() []byte {
	length := 20 + len(p.options)
	h := make([]byte, length)
	h[0] = 0x40 | byte(length/4)
	binary.BigEndian.PutUint16(h[2:], uint16(length+len(p.payload)))
	binary.BigEndian.PutUint16(h[6:], p.fragment)
	h[8], h[9] = 64, p.protocol
	copy(h[12:], p.from.AsSlice())
	copy(h[16:], p.to.AsSlice())
	copy(h[20:], p.options)
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, p.payload...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func ports(source, destination uint16, rest int) []byte {
	b := binary.BigEndian.AppendUint16(nil, source)
	b = binary.BigEndian.AppendUint16(b, destination)
	return append(b, make([]byte, rest)...)
}

func udp(source, destination uint16) []byte {
	b := ports(source, destination, 8)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	return b
}

// tcp is a header with the flags and a checksum that fits: what a stack would answer if it ever saw it.
func tcp(from, to netip.Addr, source, destination uint16, flags byte) []byte {
	b := ports(source, destination, 16)
	b[12], b[13] = 0x50, flags
	binary.BigEndian.PutUint16(b[14:], 65535)
	pseudo := append(append(from.AsSlice(), to.AsSlice()...), 0, 6, 0, byte(len(b)))
	binary.BigEndian.PutUint16(b[16:], checksum(append(pseudo, b...)))
	return b
}

const (
	flagFIN = 1
	flagSYN = 2
	flagRST = 4
	flagACK = 16
)

func arp(operation uint16, senderMAC net.HardwareAddr, sender, target netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = binary.BigEndian.AppendUint16(b, operation)
	b = append(append(b, senderMAC...), sender.AsSlice()...)
	return append(append(b, make([]byte, 6)...), target.AsSlice()...)
}

// ipv6 is a header with the payload's kind (17 UDP, 58 ICMPv6).
func ipv6(from, to string, next byte, payload []byte) []byte {
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, next, 255
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	f, t := netip.MustParseAddr(from).As16(), netip.MustParseAddr(to).As16()
	copy(b[8:], f[:])
	copy(b[24:], t[:])
	return append(b, payload...)
}
