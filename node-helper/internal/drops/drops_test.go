package drops

import (
	"fmt"
	"testing"
	"time"
)

func TestClassifyNamesThePacketAndItsTarget(t *testing.T) {
	ip := func(protocol byte, fragment uint16, rest ...byte) []byte {
		b := []byte{0x45, 0, 0, 40, 0, 0, byte(fragment >> 8), byte(fragment), 64, protocol, 0, 0, 169, 254, 0, 21, 203, 0, 113, 7}
		return append(b, rest...)
	}
	ports := []byte{0x9c, 0x40, 0x01, 0xbb}
	v6 := append([]byte{0x60, 0, 0, 0, 0, 8, 17, 64}, make([]byte, 15)...)
	v6 = append(v6, 1)
	v6 = append(v6, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x9c, 0x40, 0, 53)
	arp := append(make([]byte, 24), 192, 0, 2, 1)
	for name, c := range map[string]struct {
		prefix  string
		kind    uint16
		payload []byte
		want    Packet
	}{
		"udp":              {"udp", etherIPv4, ip(17, 0, ports...), Packet{UDP, "203.0.113.7", 443}},
		"tcp":              {"tcp", etherIPv4, ip(6, 0x4000, ports...), Packet{TCP, "203.0.113.7", 443}},
		"icmp has no port": {"icmp", etherIPv4, ip(1, 0, 8, 0, 1, 187), Packet{ICMP, "203.0.113.7", 0}},
		"refused tcp":      {"refused", etherIPv4, ip(6, 0, ports...), Packet{TCP, "203.0.113.7", 443}},
		"refused udp":      {"refused", etherIPv4, ip(17, 0, ports...), Packet{UDP, "203.0.113.7", 443}},
		"refused gre":      {"refused", etherIPv4, ip(47, 0, ports...), Packet{IP, "203.0.113.7", 0}},
		"spoofed":          {"spoofed", etherIPv4, ip(6, 0, ports...), Packet{Spoofed, "203.0.113.7", 443}},
		"spoofed arp":      {"spoofed", etherARP, arp, Packet{Spoofed, "192.0.2.1", 0}},
		"fragment, later":  {"other", etherIPv4, ip(17, 1, ports...), Packet{IP, "203.0.113.7", 0}},
		"fragment, first":  {"other", etherIPv4, ip(17, 0x2000, ports...), Packet{IP, "203.0.113.7", 443}},
		"ipv6":             {"ipv6", etherIPv6, v6, Packet{IPv6, "2001:db8::1", 53}},
		"arp":              {"arp", etherARP, arp, Packet{ARP, "192.0.2.1", 0}},
		"cut ip":           {"other", etherIPv4, []byte{0x45}, Packet{IP, "", 0}},
		"cut udp":          {"udp", etherIPv4, ip(17, 0, 1), Packet{UDP, "203.0.113.7", 0}},
		"cut arp":          {"arp", etherARP, nil, Packet{ARP, "", 0}},
		"cut ipv6":         {"ipv6", etherIPv6, v6[:39], Packet{IPv6, "", 0}},
		"header too long":  {"tcp", etherIPv4, append([]byte{0x4f}, ip(6, 0, ports...)[1:]...), Packet{TCP, "203.0.113.7", 0}},
		"header too short": {"tcp", etherIPv4, append([]byte{0x40}, ip(6, 0, ports...)[1:]...), Packet{TCP, "203.0.113.7", 0}},
		"unknown frame":    {"other", 0x88b5, []byte("x"), Packet{IP, "", 0}},
		"unknown prefix":   {"?", etherIPv4, ip(6, 0, ports...), Packet{IP, "203.0.113.7", 443}},
	} {
		if got := Classify(c.prefix, c.kind, c.payload); got != c.want {
			t.Errorf("%s: %+v, expected %+v", name, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{2, 0, 0, 61, 8, 0, 1, 0, 8, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) { parse(data) })
}

func TestLedgerAddsUpAndEmpties(t *testing.T) {
	now := time.UnixMilli(1000)
	l := NewLedger(func() time.Time { return now })
	p := Packet{UDP, "203.0.113.7", 53}
	l.Add(1, p)
	now = time.UnixMilli(2000)
	l.Add(1, p)
	l.Add(2, p)
	got := l.Take()
	want := []Drop{{1, UDP, "203.0.113.7", 53, 2, 1000}, {2, UDP, "203.0.113.7", 53, 1, 2000}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, expected %v", got, want)
	}
	if rest := l.Take(); len(rest) != 0 {
		t.Errorf("taken twice: %v", rest)
	}
}

func TestWhatAClosedSlotDidIsToldApartFromWhatIsDoneThereNext(t *testing.T) {
	now := time.UnixMilli(1000)
	l := NewLedger(func() time.Time { return now })
	p := Packet{UDP, "203.0.113.7", 53}
	l.Add(1, p)
	l.Add(2, p)
	l.Close(1)
	now = time.UnixMilli(2000)
	l.Add(1, p)
	l.Add(2, p)
	want := []Drop{{1, UDP, "203.0.113.7", 53, 1, 1000}, {2, UDP, "203.0.113.7", 53, 2, 1000}, {1, UDP, "203.0.113.7", 53, 1, 2000}}
	if got := l.Take(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, expected %v", got, want)
	}
	if rest := l.Take(); len(rest) != 0 {
		t.Errorf("taken twice: %v", rest)
	}
}

func TestWhatClosedSlotsDidIsBoundedWhileNobodyTakesIt(t *testing.T) {
	at := int64(0)
	l := NewLedger(func() time.Time { return time.UnixMilli(at) })
	for at = range int64(closedMax + 10) {
		l.Add(1, Packet{UDP, "203.0.113.7", 53})
		l.Close(1)
	}
	got := l.Take()
	if len(got) != closedMax || got[0].FirstTimeMs != 10 {
		t.Errorf("%d lines, the first of %d", len(got), got[0].FirstTimeMs)
	}
}

// A guest that sends to ever new targets neither grows the ledger nor pushes another guest's drop out.
func TestLedgerIsBoundedPerSlot(t *testing.T) {
	l := NewLedger(time.Now)
	quiet := Packet{ICMP, "198.51.100.1", 0}
	l.Add(2, quiet)
	for i := range 10_000 {
		l.Add(1, Packet{UDP, fmt.Sprintf("203.0.%d.%d", i>>8, i&255), i})
	}
	l.Add(1, Packet{TCP, "203.0.113.250", 22})
	var total, lines int64
	others, hidden := map[Protocol]int64{}, false
	for _, d := range l.Take() {
		if d.Slot == 2 {
			hidden = d.Protocol == ICMP && d.Count == 1
			continue
		}
		lines++
		total += d.Count
		if d.Destination == overflow {
			others[d.Protocol] = d.Count
		}
	}
	if !hidden {
		t.Error("the other slot's drop is gone")
	}
	if total != 10_001 || lines != kindsPerSlot+2 || others[UDP] != 10_000-kindsPerSlot || others[TCP] != 1 {
		t.Errorf("%d packets in %d lines, overflow %v", total, lines, others)
	}
}
