package drops

import (
	"encoding/binary"
	"net/netip"
)

// Protocol is the closed list of the wire protocol.
type Protocol string

const (
	UDP     Protocol = "udp"
	ICMP    Protocol = "icmp"
	IPv6    Protocol = "ipv6"
	TCP     Protocol = "tcp"
	ARP     Protocol = "arp"
	IP      Protocol = "ip"
	Spoofed Protocol = "spoofed"
)

// Packet is what a log message says of one dropped packet.
type Packet struct {
	Protocol    Protocol
	Destination string
	Port        int
}

const (
	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd
)

// Classify names a dropped packet. prefix is the rule's, a fact; payload is the guest's, a claim: it may be cut, malformed or empty.
func Classify(prefix string, etherType uint16, payload []byte) Packet {
	p := Packet{Protocol: IP}
	var transport byte
	switch etherType {
	case etherIPv4:
		transport = p.readIPv4(payload)
	case etherIPv6:
		p.Protocol = IPv6
		if len(payload) >= 40 {
			p.Destination = netip.AddrFrom16([16]byte(payload[24:40])).String()
			if payload[6] == 17 || payload[6] == 6 {
				p.readPort(payload[40:])
			}
		}
	case etherARP:
		p.Protocol = ARP
		if len(payload) >= 28 {
			p.Destination = netip.AddrFrom4([4]byte(payload[24:28])).String()
		}
	}
	switch prefix {
	case "spoofed":
		p.Protocol = Spoofed
	case "arp":
		p.Protocol = ARP
	case "ipv6":
		p.Protocol = IPv6
	case "icmp":
		p.Protocol = ICMP
	case "udp":
		p.Protocol = UDP
	case "tcp":
		p.Protocol = TCP
	case "refused":
		p.Protocol = fromTransport(transport, p.Protocol)
	default:
		// "other": fragments, options, unknown transports and unknown frames.
		if p.Protocol != IPv6 && p.Protocol != ARP {
			p.Protocol = IP
		}
	}
	return p
}

func fromTransport(transport byte, otherwise Protocol) Protocol {
	switch transport {
	case 1:
		return ICMP
	case 6:
		return TCP
	case 17:
		return UDP
	default:
		return otherwise
	}
}

func (p *Packet) readIPv4(b []byte) (transport byte) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return 0
	}
	p.Destination = netip.AddrFrom4([4]byte(b[16:20])).String()
	transport = b[9]
	header := int(b[0]&0x0f) * 4
	firstPart := binary.BigEndian.Uint16(b[6:8])&0x1fff == 0
	if firstPart && header >= 20 && len(b) >= header && (transport == 6 || transport == 17 || transport == 132) {
		p.readPort(b[header:])
	}
	return transport
}

func (p *Packet) readPort(b []byte) {
	if len(b) >= 4 {
		p.Port = int(binary.BigEndian.Uint16(b[2:4]))
	}
}
