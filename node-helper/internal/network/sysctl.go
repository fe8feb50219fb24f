package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

type setting struct {
	name, value string
	// optional: absent where the kernel lacks the feature (IPv6, conntrack not yet in use).
	optional bool
}

var commonSettings = []setting{
	{"ipv6/conf/all/disable_ipv6", "1", true},
	{"ipv6/conf/default/disable_ipv6", "1", true},
	{"ipv4/conf/all/rp_filter", "1", false},
	{"ipv4/conf/default/rp_filter", "1", false},
	{"ipv4/conf/all/accept_source_route", "0", false},
	{"ipv4/conf/default/accept_source_route", "0", false},
	{"ipv4/conf/all/accept_redirects", "0", false},
	{"ipv4/conf/default/accept_redirects", "0", false},
	{"ipv4/conf/all/send_redirects", "0", false},
	{"ipv4/conf/default/send_redirects", "0", false},
	{"ipv4/conf/all/arp_ignore", "1", false},
	{"ipv4/conf/default/arp_ignore", "1", false},
	{"ipv4/icmp_echo_ignore_all", "1", false},
}

// applySettings writes sysctls of the calling thread's network namespace.
func applySettings(lists ...[]setting) error {
	for _, list := range lists {
		for _, s := range list {
			path := filepath.Join("/proc/sys/net", s.name)
			file, err := os.OpenFile(path, os.O_WRONLY, 0)
			if errors.Is(err, os.ErrNotExist) && s.optional {
				continue
			}
			if err != nil {
				return fmt.Errorf("sysctl: %w", err)
			}
			_, err = file.WriteString(s.value)
			if err = errors.Join(err, file.Close()); err != nil {
				return fmt.Errorf("sysctl %s=%s: %w", s.name, s.value, err)
			}
		}
	}
	return nil
}
