package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"cofferdam.dev/node-helper/internal/netspace"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Never more than one namespace is a router, and the gate is none.
var gateSettings = []setting{
	{"ipv4/ip_forward", "0", false},
	{"core/somaxconn", "4096", true},
}

// EnsureGate makes the gate or brings an existing one to the present rules. Idempotent; safe while slots and listeners live, and while another
// process (gateway-exec beside serve) does the same. It says whether the gate is a new one.
func (n *Network) EnsureGate() (made bool, err error) {
	unlock, err := netspace.Lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	gate, err := n.OpenGate()
	if errors.Is(err, os.ErrNotExist) {
		made = true
		// A name without a namespace is left over from a crash.
		if err := netspace.Delete(n.GateName()); err != nil {
			return false, err
		}
		if err := netspace.Create(n.GateName()); err != nil {
			return false, err
		}
		gate, err = n.OpenGate()
	}
	if err != nil {
		return false, err
	}
	defer gate.Close()
	return made, n.buildGate(gate)
}

func (n *Network) buildGate(gate *os.File) error {
	if err := netspace.Do(gate, func() error { return applySettings(commonSettings, gateSettings) }); err != nil {
		return err
	}
	rules, err := renderRules(gateRules, "", "")
	if err != nil {
		return err
	}
	if err := applyRules(gate, rules); err != nil {
		return err
	}
	return configureGate(gate)
}

func configureGate(gate *os.File) error {
	h, err := handle(gate)
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	dns := &netlink.Addr{IPNet: hostRoute(netip.MustParseAddr(DNSAddress))}
	if err := h.AddrReplace(lo, dns); err != nil {
		return fmt.Errorf("address on lo: %w", err)
	}
	if err := h.LinkSetUp(lo); err != nil {
		return err
	}
	// Marked packets are local whatever their destination: this is what hands them to the transparent listener.
	local := &netlink.Route{
		LinkIndex: lo.Attrs().Index, Table: tproxyTable, Type: unix.RTN_LOCAL, Scope: netlink.SCOPE_HOST,
		Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
	}
	if err := h.RouteReplace(local); err != nil {
		return fmt.Errorf("local route: %w", err)
	}
	rule := netlink.NewRule()
	rule.Family, rule.Mark, rule.Table, rule.Priority = unix.AF_INET, tproxyMark, tproxyTable, 100
	if err := h.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("policy rule: %w", err)
	}
	return nil
}

// DestroyGate removes the gate. Idempotent.
func (n *Network) DestroyGate() error { return netspace.Delete(n.GateName()) }
