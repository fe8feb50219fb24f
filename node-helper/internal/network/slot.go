package network

import (
	"errors"
	"fmt"
	"net"
	"os"

	"cofferdam.dev/node-helper/internal/netspace"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var slotSettings = []setting{
	{"ipv4/ip_forward", "1", false},
}

// Connection tracking is there once a rule asks for it.
var linkSettings = []setting{
	// A segment out of nowhere never becomes an established connection.
	{"netfilter/nf_conntrack_tcp_loose", "0", true},
}

// CreateSlot makes the slot, of which nothing may exist, in the gate, which must.
func (n *Network) CreateSlot(slot int) error {
	gate, err := n.OpenGate()
	if err != nil {
		return err
	}
	defer gate.Close()
	if err := netspace.Create(n.SlotName(slot)); err != nil {
		return err
	}
	if err := n.buildSlot(slot, gate); err != nil {
		return errors.Join(fmt.Errorf("slot %d: %w", slot, err), n.DestroySlot(slot))
	}
	return nil
}

func (n *Network) buildSlot(slot int, gate *os.File) error {
	ns, err := n.OpenSlot(slot)
	if err != nil {
		return err
	}
	defer ns.Close()
	err = netspace.Do(ns, func() error {
		if err := applySettings(commonSettings, slotSettings); err != nil {
			return err
		}
		tap, err := attachTap(true, n.vmmUID(slot))
		if err != nil {
			return err
		}
		return tap.Close()
	})
	if err != nil {
		return err
	}
	if err := n.applySlotRules(slot, ns); err != nil {
		return err
	}
	h, err := handle(ns)
	if err != nil {
		return err
	}
	defer h.Close()
	// The tap's address first: without any address the kernel has no local table and refuses every next hop.
	tap, err := configureTap(h)
	if err != nil {
		return err
	}
	if err := n.connectToGate(slot, h, gate); err != nil {
		return err
	}
	// Last: a tap that is up means a slot that is whole.
	return h.LinkSetUp(tap)
}

func (n *Network) applySlotRules(slot int, ns *os.File) error {
	rules, err := renderRules(slotRules, n.prefix.String(), n.address(slot).String())
	if err != nil {
		return err
	}
	if err := applyRules(ns, rules); err != nil {
		return err
	}
	return netspace.Do(ns, func() error { return applySettings(linkSettings) })
}

// RenewRules brings a slot that exists to the present rules and settings, in one step and without harm to its connections.
func (n *Network) RenewRules(slot int) error {
	ns, err := n.OpenSlot(slot)
	if err != nil {
		return err
	}
	defer ns.Close()
	if err := netspace.Do(ns, func() error { return applySettings(commonSettings, slotSettings) }); err != nil {
		return err
	}
	return n.applySlotRules(slot, ns)
}

func (n *Network) connectToGate(slot int, h *netlink.Handle, gate *os.File) error {
	inSlot, inGate := vethMACs(slot)
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = "up0", inSlot
	veth := &netlink.Veth{
		LinkAttrs: attrs, PeerName: gatePort(slot), PeerHardwareAddr: inGate, PeerNamespace: netlink.NsFd(int(gate.Fd())),
	}
	if err := h.LinkAdd(veth); err != nil {
		return fmt.Errorf("veth: %w", err)
	}
	up, err := h.LinkByName("up0")
	if err != nil {
		return err
	}
	if err := h.LinkSetUp(up); err != nil {
		return err
	}
	dns := net.ParseIP(DNSAddress).To4()
	if err := h.NeighSet(permanent(up, dns, inGate)); err != nil {
		return fmt.Errorf("neighbour: %w", err)
	}
	if err := h.RouteAdd(&netlink.Route{
		LinkIndex: up.Attrs().Index, Gw: dns, Flags: int(netlink.FLAG_ONLINK),
		Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
	}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}

	g, err := handle(gate)
	if err != nil {
		return err
	}
	defer g.Close()
	port, err := g.LinkByName(gatePort(slot))
	if err != nil {
		return err
	}
	if err := g.LinkSetUp(port); err != nil {
		return err
	}
	address := n.address(slot)
	if err := g.NeighSet(permanent(port, address.AsSlice(), inSlot)); err != nil {
		return fmt.Errorf("gate's neighbour: %w", err)
	}
	if err := g.RouteReplace(&netlink.Route{
		LinkIndex: port.Attrs().Index, Dst: hostRoute(address), Scope: netlink.SCOPE_LINK,
	}); err != nil {
		return fmt.Errorf("gate's route: %w", err)
	}
	return nil
}

func configureTap(h *netlink.Handle) (netlink.Link, error) {
	tap, err := h.LinkByName("tap0")
	if err != nil {
		return nil, err
	}
	// The same MAC everywhere: a restored guest still has the old slot's in its ARP table.
	if err := h.LinkSetHardwareAddr(tap, mustMAC(TapMAC)); err != nil {
		return nil, fmt.Errorf("tap's MAC: %w", err)
	}
	router := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(RouterAddress).To4(), Mask: net.CIDRMask(30, 32)}}
	if err := h.AddrAdd(tap, router); err != nil {
		return nil, fmt.Errorf("tap's address: %w", err)
	}
	if err := h.NeighSet(permanent(tap, net.ParseIP(GuestAddress).To4(), mustMAC(GuestMAC))); err != nil {
		return nil, fmt.Errorf("guest's neighbour: %w", err)
	}
	return tap, nil
}

func permanent(link netlink.Link, ip net.IP, mac net.HardwareAddr) *netlink.Neigh {
	return &netlink.Neigh{
		LinkIndex: link.Attrs().Index, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: ip, HardwareAddr: mac,
	}
}

// SlotIsWhole says whether the slot was made to its end and is still connected.
func (n *Network) SlotIsWhole(slot int) (bool, error) {
	ns, err := n.OpenSlot(slot)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer ns.Close()
	h, err := handle(ns)
	if err != nil {
		return false, err
	}
	defer h.Close()
	for _, name := range []string{"tap0", "up0"} {
		link, err := h.LinkByName(name)
		if linkMissing(err) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if link.Attrs().Flags&net.FlagUp == 0 {
			return false, nil
		}
		// The VMM holds the tap and could have renamed it to another MAC; such a slot is made anew.
		if name == "tap0" && link.Attrs().HardwareAddr.String() != TapMAC {
			return false, nil
		}
	}
	return true, nil
}

// DestroySlot removes the slot's devices and its namespace's name. Whoever holds the namespace must have let go. Idempotent.
func (n *Network) DestroySlot(slot int) error {
	if err := n.removeGatePort(slot); err != nil {
		return err
	}
	return netspace.Delete(n.SlotName(slot))
}

// The veth goes at once and not when the kernel gets around to the dead namespace: its name is needed again.
func (n *Network) removeGatePort(slot int) error {
	gate, err := n.OpenGate()
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer gate.Close()
	g, err := handle(gate)
	if err != nil {
		return err
	}
	defer g.Close()
	port, err := g.LinkByName(gatePort(slot))
	if linkMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := g.LinkDel(port); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove %s: %w", gatePort(slot), err)
	}
	return nil
}

// OpenTap attaches to the slot's tap as its one and only user. Without TUNSETIFF's power to create: a tap made here would have no rules.
func (n *Network) OpenTap(slot int) (*os.File, error) {
	whole, err := n.SlotIsWhole(slot)
	if err != nil {
		return nil, err
	}
	if !whole {
		return nil, fmt.Errorf("slot %d: %w", slot, os.ErrNotExist)
	}
	ns, err := n.OpenSlot(slot)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	var tap *os.File
	err = netspace.Do(ns, func() error {
		tap, err = attachTap(false, 0)
		return err
	})
	return tap, err
}

// attachTap opens tap0 of the calling thread's namespace, for the VMM (persist unset) or to make it.
func attachTap(create bool, owner int) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	tap := os.NewFile(uintptr(fd), "tap0")
	request, err := unix.NewIfreq("tap0")
	if err != nil {
		return nil, errors.Join(err, tap.Close())
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, errors.Join(fmt.Errorf("TUNSETIFF: %w", err), tap.Close())
	}
	if create {
		if err := unix.IoctlSetInt(fd, unix.TUNSETOWNER, owner); err != nil {
			return nil, errors.Join(fmt.Errorf("TUNSETOWNER: %w", err), tap.Close())
		}
		if err := unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1); err != nil {
			return nil, errors.Join(fmt.Errorf("TUNSETPERSIST: %w", err), tap.Close())
		}
	}
	return tap, nil
}
