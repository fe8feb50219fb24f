package network

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"text/template"
	"time"

	"cofferdam.dev/node-helper/internal/netspace"
)

// What every sandbox sees alike, so that one snapshot restores into any slot (docs/architecture.md).
const (
	GuestAddress  = "169.254.0.21"
	RouterAddress = "169.254.0.22"
	GuestNet      = "169.254.0.20/30"
	GuestMAC      = "02:cf:00:00:00:15"
	TapMAC        = "02:cf:00:00:00:16"
	DNSAddress    = "198.18.0.1"
	LinkPort      = 1024
	ListenerPort  = 15001

	// LogGroup is the NFLOG group, in every namespace of ours.
	LogGroup = 61

	tproxyMark  = 1
	tproxyTable = 100

	nftPath    = "/usr/sbin/nft"
	nftTimeout = 20 * time.Second
)

// Classes are the log prefixes of the slot's tap; package drops reads them.
var Classes = []string{"spoofed", "arp", "ipv6", "other", "icmp", "udp", "tcp"}

//go:embed rules/gate.nft
var gateText string

//go:embed rules/slot.nft
var slotText string

var (
	gateRules = template.Must(template.New("gate").Parse(gateText))
	slotRules = template.Must(template.New("slot").Parse(slotText))
)

type ruleValues struct {
	Group, Port, Mark, LinkPort                                     int
	Prefix, Address, DNS, Guest, Router, GuestNet, GuestMAC, TapMAC string
	Classes                                                         []string
}

func renderRules(t *template.Template, prefix, address string) ([]byte, error) {
	var out bytes.Buffer
	err := t.Option("missingkey=error").Execute(&out, ruleValues{
		Group: LogGroup, Port: ListenerPort, Mark: tproxyMark, LinkPort: LinkPort,
		Prefix: prefix, Address: address, DNS: DNSAddress, Guest: GuestAddress, Router: RouterAddress,
		GuestNet: GuestNet, GuestMAC: GuestMAC, TapMAC: TapMAC, Classes: Classes,
	})
	return out.Bytes(), err
}

// applyRules feeds a ruleset to nft inside the namespace: all of it or nothing.
func applyRules(ns *os.File, ruleset []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), nftTimeout)
	defer cancel()
	var complaint bytes.Buffer
	nft := exec.CommandContext(ctx, nftPath, "-f", "-")
	nft.Env = []string{"LC_ALL=C"}
	nft.Dir = "/"
	nft.Stdin = bytes.NewReader(ruleset)
	nft.Stderr = &complaint
	// The child inherits the namespace of the thread that starts it.
	err := netspace.Do(ns, nft.Start)
	if err == nil {
		err = nft.Wait()
	}
	if err != nil {
		return fmt.Errorf("nft: %w: %.500s", err, strings.TrimSpace(complaint.String()))
	}
	return nil
}
