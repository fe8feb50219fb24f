// Package config reads the helper's only configuration file. It is trusted: root writes it.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"

	"cofferdam.dev/node-helper/internal/wire"
)

// MaxSlots is bounded by what a slot's number must fit into: interface names, MAC addresses, uids.
const MaxSlots = 4000

// What systemd gives to services with DynamicUser (its UIDS-GIDS.md), and after it what 16 bits keep for nobody and for no uid at all.
const (
	dynamicUsers    = 61184
	dynamicUsersEnd = 65535
)

var meshName = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

// Config is one mesh on one host.
type Config struct {
	Mesh            string `json:"mesh"`
	Socket          string `json:"socket"`
	AgentUID        int    `json:"agent_uid"`
	AgentGID        int    `json:"agent_gid"`
	SlotPrefix      string `json:"slot_prefix"`
	SandboxRoot     string `json:"sandbox_root"`
	TemplateRoot    string `json:"template_root"`
	ImageRoot       string `json:"image_root"`
	MadeImageRoot   string `json:"made_image_root"` // empty: there is none
	VolumeRoot      string `json:"volume_root"`
	LinkRoot        string `json:"link_root"`
	VMMUIDBase      int    `json:"vmm_uid_base"`
	MaxSlots        int    `json:"max_slots"`
	QEMU            string `json:"qemu"`
	CloudHypervisor string `json:"cloud_hypervisor"`

	prefix netip.Prefix
}

// Load reads and checks the file; every problem is reported together.
func Load(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse is Load on bytes.
func Parse(text []byte) (*Config, error) {
	c := &Config{}
	if err := wire.Decode(text, c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !ValidMesh(c.Mesh) {
		bad("mesh %q: expected 1 to 8 of a-z0-9, a letter first", c.Mesh)
	}
	for name, value := range map[string]string{
		"socket": c.Socket, "sandbox_root": c.SandboxRoot, "template_root": c.TemplateRoot, "image_root": c.ImageRoot,
		"volume_root": c.VolumeRoot, "link_root": c.LinkRoot, "qemu": c.QEMU,
	} {
		if !filepath.IsAbs(value) || filepath.Clean(value) != value || value == "/" {
			bad("%s %q: expected a clean absolute path", name, value)
		}
	}
	if root := c.MadeImageRoot; root != "" && (!filepath.IsAbs(root) || filepath.Clean(root) != root || root == "/") {
		bad("made_image_root %q: expected a clean absolute path or nothing", root)
	}
	if c.CloudHypervisor != "" && !filepath.IsAbs(c.CloudHypervisor) {
		bad("cloud_hypervisor %q: expected an absolute path or nothing", c.CloudHypervisor)
	}
	if c.MaxSlots < 1 || c.MaxSlots > MaxSlots {
		bad("max_slots %d: expected 1 to %d", c.MaxSlots, MaxSlots)
	}
	if c.AgentUID < 1 || c.AgentGID < 1 {
		bad("agent_uid %d, agent_gid %d: expected a user and a group other than root", c.AgentUID, c.AgentGID)
	}
	// A VMM must never share a uid with a service or a person.
	if c.VMMUIDBase < 10000 || c.VMMUIDBase > 1<<30 {
		bad("vmm_uid_base %d: expected 10000 to %d", c.VMMUIDBase, 1<<30)
	} else if c.VMMUIDBase < dynamicUsersEnd && c.VMMUID(c.MaxSlots) >= dynamicUsers {
		bad("vmm_uid_base %d: %d slots reach into %d to %d, which are others'", c.VMMUIDBase, c.MaxSlots, dynamicUsers, dynamicUsersEnd)
	} else if c.AgentUID > c.VMMUIDBase && c.AgentUID <= c.VMMUIDBase+c.MaxSlots {
		bad("agent_uid %d lies among the VMMs' uids", c.AgentUID)
	}
	prefix, err := netip.ParsePrefix(c.SlotPrefix)
	switch {
	case err != nil || !prefix.Addr().Is4() || prefix.Masked() != prefix:
		bad("slot_prefix %q: expected an IPv4 prefix without host bits", c.SlotPrefix)
	case prefix.Bits() < 8 || c.MaxSlots+1 >= 1<<(32-prefix.Bits()):
		bad("slot_prefix %q: expected /8 or smaller with room for %d slots", c.SlotPrefix, c.MaxSlots)
	case prefix.Overlaps(netip.MustParsePrefix("198.18.0.0/15")) || prefix.Overlaps(netip.MustParsePrefix("169.254.0.0/16")) ||
		prefix.Overlaps(netip.MustParsePrefix("127.0.0.0/8")) || prefix.Addr().IsMulticast():
		bad("slot_prefix %q overlaps addresses with a meaning of their own", c.SlotPrefix)
	}
	c.prefix = prefix
	return c, errors.Join(problems...)
}

// ValidMesh says whether a name can be a mesh's: it becomes part of namespaces, cgroups and paths.
func ValidMesh(name string) bool { return meshName.MatchString(name) }

// Prefix is the range of the slots' addresses.
func (c *Config) Prefix() netip.Prefix { return c.prefix }

// Address is the slot's only address outside its namespace: prefix + slot.
func (c *Config) Address(slot int) netip.Addr {
	a := c.prefix.Addr().As4()
	n := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	n += uint32(slot)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// VMMUID is the uid and gid of the slot's VMM.
func (c *Config) VMMUID(slot int) int { return c.VMMUIDBase + slot }

// ValidSlot says whether a slot can exist.
func (c *Config) ValidSlot(slot int) bool { return slot >= 1 && slot <= c.MaxSlots }
