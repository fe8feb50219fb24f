package boot

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// netlink speaks just enough rtnetlink(7) to bring up a link with an address and a route.
type netlink struct {
	fd       int
	sequence uint32
}

func openNetlink() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &netlink{fd: fd}, nil
}

func (n *netlink) close() { _ = unix.Close(n.fd) }

func (n *netlink) up(name string) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	// struct ifinfomsg: family, pad, type, index, flags, change.
	message := []byte{unix.AF_UNSPEC, 0, 0, 0}
	message = binary.NativeEndian.AppendUint32(message, uint32(link.Index))
	message = binary.NativeEndian.AppendUint32(message, unix.IFF_UP)
	message = binary.NativeEndian.AppendUint32(message, unix.IFF_UP)
	return n.request("set up "+name, unix.RTM_NEWLINK, 0, message)
}

func (n *netlink) addAddress(name string, prefix netip.Prefix) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	// struct ifaddrmsg: family, prefix length, flags, scope, index.
	message := []byte{unix.AF_INET, byte(prefix.Bits()), 0, unix.RT_SCOPE_UNIVERSE}
	message = binary.NativeEndian.AppendUint32(message, uint32(link.Index))
	message = appendAttribute(message, unix.IFA_LOCAL, prefix.Addr().AsSlice())
	message = appendAttribute(message, unix.IFA_ADDRESS, prefix.Addr().AsSlice())
	return n.request("address of "+name, unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, message)
}

func (n *netlink) addDefaultRoute(name string, via netip.Addr) error {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	// struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
	message := []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST, 0, 0, 0, 0}
	message = appendAttribute(message, unix.RTA_GATEWAY, via.AsSlice())
	message = appendAttribute(message, unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, uint32(link.Index)))
	return n.request("default route", unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, message)
}

// appendAttribute appends a struct rtattr. All values here are of 4 bytes, so no padding follows.
func appendAttribute(message []byte, kind uint16, value []byte) []byte {
	message = binary.NativeEndian.AppendUint16(message, uint16(unix.SizeofRtAttr+len(value)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	return append(message, value...)
}

// request sends one message and waits for the kernel's acknowledgement.
func (n *netlink) request(what string, kind, flags uint16, body []byte) error {
	n.sequence++
	message := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	message = binary.NativeEndian.AppendUint16(message, kind)
	message = binary.NativeEndian.AppendUint16(message, unix.NLM_F_REQUEST|unix.NLM_F_ACK|flags)
	message = binary.NativeEndian.AppendUint32(message, n.sequence)
	message = binary.NativeEndian.AppendUint32(message, 0)
	if err := unix.Sendto(n.fd, append(message, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	answer := make([]byte, 4096)
	count, _, err := unix.Recvfrom(n.fd, answer, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if count < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("%s: an answer of %d bytes that is no acknowledgement", what, count)
	}
	if errno := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); errno != 0 {
		return fmt.Errorf("%s: %w", what, unix.Errno(-errno))
	}
	return nil
}
