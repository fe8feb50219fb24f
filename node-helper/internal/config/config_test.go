package config

import (
	"encoding/json"
	"strings"
	"testing"
)

func good() map[string]any {
	return map[string]any{
		"mesh": "cfd", "socket": "/run/x/helper.sock", "agent_uid": 990, "agent_gid": 990, "slot_prefix": "100.80.0.0/16",
		"sandbox_root": "/var/lib/x/sandboxes", "template_root": "/var/cache/x/templates", "image_root": "/var/cache/x/images", "made_image_root": "/var/lib/x/images",
		"volume_root": "/var/lib/x/volumes",
		"link_root":   "/run/x/links", "vmm_uid_base": 70000, "max_slots": 250, "qemu": "/usr/bin/qemu-system-x86_64", "cloud_hypervisor": "",
	}
}

func parse(t *testing.T, values map[string]any) (*Config, error) {
	t.Helper()
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(text)
}

func TestAddressesAndUids(t *testing.T) {
	c, err := parse(t, good())
	if err != nil {
		t.Fatal(err)
	}
	for slot, want := range map[int]string{1: "100.80.0.1", 250: "100.80.0.250"} {
		if got := c.Address(slot).String(); got != want {
			t.Errorf("slot %d: %s, expected %s", slot, got, want)
		}
	}
	values := good()
	values["slot_prefix"], values["max_slots"] = "10.1.254.0/23", 400
	if c, err = parse(t, values); err != nil || c.Address(300).String() != "10.1.255.44" {
		t.Errorf("%v %v", c.Address(300), err)
	}
	if c.VMMUID(7) != 70007 || c.ValidSlot(0) || !c.ValidSlot(400) || c.ValidSlot(401) {
		t.Error("uids or slots")
	}
}

func TestEveryBadValueIsNamed(t *testing.T) {
	for key, bad := range map[string][]any{
		"mesh":         {"", "Cfd", "1cfd", "much-too-long", "a/b", "a..", "cf d"},
		"socket":       {"", "helper.sock", "/run/../x", "/"},
		"agent_uid":    {0, -1, 70001, 70250},
		"agent_gid":    {0, -1},
		"slot_prefix":  {"", "100.80.0.1/16", "fd00::/64", "100.80.0.0/25", "198.18.0.0/16", "169.254.0.0/16", "127.0.0.0/8", "0.0.0.0/0", "224.0.0.0/8"},
		"sandbox_root": {"relative", "/a/", "/a/../b"},
		"vmm_uid_base": {0, 1000, -5, 1 << 31, 61000, 61183, 63000, 65534},
		"max_slots":    {0, -1, 5000},
		"qemu":         {"", "qemu"},

		"made_image_root": {"relative", "/", "/a/../b"},
	} {
		for _, value := range bad {
			values := good()
			values[key] = value
			if _, err := parse(t, values); err == nil || !strings.Contains(err.Error(), key) {
				t.Errorf("%s=%v: %v", key, value, err)
			}
		}
	}
	values := good()
	values["mesh"], values["max_slots"] = "X", 0
	if _, err := parse(t, values); err == nil || !strings.Contains(err.Error(), "mesh") || !strings.Contains(err.Error(), "max_slots") {
		t.Errorf("both problems at once: %v", err)
	}
	for _, free := range []int{60933, 65535} {
		values = good()
		values["vmm_uid_base"] = free
		if _, err := parse(t, values); err != nil {
			t.Errorf("vmm_uid_base=%d: %v", free, err)
		}
	}
	values = good()
	values["debug"] = true
	if _, err := parse(t, values); err == nil {
		t.Error("an unknown key was taken")
	}
}
