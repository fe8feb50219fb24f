package guest

import (
	"bufio"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Of proc_net(5), tcp: the columns that are read, and the states in which somebody is at the other end.
const (
	columnLocal  = 1
	columnRemote = 2
	columnState  = 3
	established  = "01"
	synSent      = "02"
)

// The agent listens on no other port, and its host's connections are no activity of the tenant.
const agentPort = "0400"

// connections counts those of TCP with somebody outside the guest.
func (f files) connections() (int, error) {
	total := 0
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(f.at(path))
		if errors.Is(err, fs.ErrNotExist) {
			continue // A kernel without IPv6.
		}
		if err != nil {
			return 0, err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if outside(strings.Fields(lines.Text())) {
				total++
			}
		}
		err = errors.Join(lines.Err(), file.Close())
		if err != nil {
			return 0, err
		}
	}
	return total, nil
}

func outside(columns []string) bool {
	if len(columns) <= columnState || columns[columnState] != established && columns[columnState] != synSent {
		return false
	}
	_, port, _ := strings.Cut(columns[columnLocal], ":")
	remote, _, _ := strings.Cut(columns[columnRemote], ":")
	return port != agentPort && !loopback(remote)
}

// loopback reads an address as the kernel prints it: words of 32 bits, each in the machine's order.
func loopback(text string) bool {
	bytes, err := hex.DecodeString(text)
	if err != nil || len(bytes)%4 != 0 {
		return false
	}
	for word := range slices.Chunk(bytes, 4) {
		slices.Reverse(word)
	}
	address, ok := netip.AddrFromSlice(bytes)
	return ok && address.Unmap().IsLoopback()
}
