// Package network builds the gate and the slots: namespaces, devices, addresses, routes and rules.
//
// Nothing is remembered: what exists is asked of the kernel, so a restarted helper knows all that the old one knew. Start at Network.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sort"
	"strconv"
	"strings"

	"cofferdam.dev/node-helper/internal/netspace"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Network is one mesh's gate and slots.
type Network struct {
	mesh    string
	prefix  netip.Prefix
	address func(slot int) netip.Addr
	vmmUID  func(slot int) int
}

// New makes no change to the system.
func New(mesh string, prefix netip.Prefix, address func(int) netip.Addr, vmmUID func(int) int) *Network {
	return &Network{mesh: mesh, prefix: prefix, address: address, vmmUID: vmmUID}
}

// NewGate is a Network for the gate alone: who starts the gateway need not know the slots.
func NewGate(mesh string) *Network { return &Network{mesh: mesh} }

// GateName is the gate's namespace.
func (n *Network) GateName() string { return n.mesh + "-gate" }

// SlotName is the slot's namespace.
func (n *Network) SlotName(slot int) string { return fmt.Sprintf("%s-s%d", n.mesh, slot) }

func gatePort(slot int) string { return fmt.Sprintf("s%d", slot) }

// SlotOfGatePort is the slot whose veth ends in the gate under this name.
func SlotOfGatePort(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "s")
	if !ok {
		return 0, false
	}
	slot, err := strconv.Atoi(digits)
	return slot, err == nil && slot > 0 && gatePort(slot) == name
}

// Slots lists the slots that have a namespace, whole or not.
func (n *Network) Slots() ([]int, error) {
	names, err := netspace.List()
	if err != nil {
		return nil, err
	}
	var slots []int
	for _, name := range names {
		port, ok := strings.CutPrefix(name, n.mesh+"-")
		if !ok {
			continue
		}
		if slot, ok := SlotOfGatePort(port); ok {
			slots = append(slots, slot)
		}
	}
	sort.Ints(slots)
	return slots, nil
}

// OpenSlot returns the slot's namespace; os.ErrNotExist if there is none.
func (n *Network) OpenSlot(slot int) (*os.File, error) { return netspace.Open(n.SlotName(slot)) }

// OpenGate returns the gate's namespace; os.ErrNotExist if there is none.
func (n *Network) OpenGate() (*os.File, error) { return netspace.Open(n.GateName()) }

// SlotInode tells the slot's namespace from all others; os.ErrNotExist if there is none.
func (n *Network) SlotInode(slot int) (uint64, error) {
	ns, err := n.OpenSlot(slot)
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	return netspace.Inode(ns)
}

// GateSlots maps device indexes of the gate to slots. The kernel does not give an index twice in one namespace, so what was found stays true.
func (n *Network) GateSlots() func(device uint32) (int, bool) {
	known := map[uint32]int{}
	return func(device uint32) (int, bool) {
		if slot, ok := known[device]; ok {
			return slot, slot > 0
		}
		slot, err := n.lookUpGateSlot(int(device))
		if err != nil {
			return 0, false
		}
		known[device] = slot
		return slot, slot > 0
	}
}

func (n *Network) lookUpGateSlot(device int) (int, error) {
	gate, err := n.OpenGate()
	if err != nil {
		return 0, err
	}
	defer gate.Close()
	g, err := handle(gate)
	if err != nil {
		return 0, err
	}
	defer g.Close()
	port, err := g.LinkByIndex(device)
	if err != nil {
		return 0, err
	}
	slot, _ := SlotOfGatePort(port.Attrs().Name)
	return slot, nil
}

func handle(ns *os.File) (*netlink.Handle, error) {
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink in %s: %w", ns.Name(), err)
	}
	return h, nil
}

func linkMissing(err error) bool {
	var missing netlink.LinkNotFoundError
	return errors.As(err, &missing)
}

// Both ends of a slot's veth have fixed MACs and permanent neighbours: no ARP is ever needed, or believed, between slot and gate.
func vethMACs(slot int) (inSlot, inGate net.HardwareAddr) {
	return net.HardwareAddr{0x02, 0xcf, 1, 0, byte(slot >> 8), byte(slot)}, net.HardwareAddr{0x02, 0xcf, 2, 0, byte(slot >> 8), byte(slot)}
}

func mustMAC(text string) net.HardwareAddr {
	mac, err := net.ParseMAC(text)
	if err != nil {
		panic(err)
	}
	return mac
}

func hostRoute(a netip.Addr) *net.IPNet {
	return &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}
}
