package vmm

import (
	"slices"
	"testing"
)

func TestCloudHypervisorsOneLine(t *testing.T) {
	line := []string{"--api-socket", "fd=3", "--event-monitor", "fd=5", "--seccomp", "true"}
	if err := CheckCloudHypervisor(line); err != nil {
		t.Error(err)
	}
	with := func(old, value string) []string {
		args := slices.Clone(line)
		args[slices.Index(args, old)] = value
		return args
	}
	// Each is a way out of the jail or around its limits, if Cloud Hypervisor were given it.
	for name, args := range map[string][]string{
		"nothing": nil, "no seccomp": with("true", "false"), "seccomp that only logs": with("true", "log"), "another socket": with("fd=3", "path=/image/ch.sock"),
		"a descriptor": with("fd=3", "fd=4"), "events elsewhere": with("fd=5", "path=/sandbox/disk.ext4"),
		"a machine": append(slices.Clone(line), "--kernel", "/image/vmlinuz"), "a restore": append(slices.Clone(line), "--restore", "source_url=file:///template"),
		"a disk": append(slices.Clone(line), "--disk", "path=/etc/shadow"), "a log": append(slices.Clone(line), "--log-file", "/sandbox/log"),
		"a device": append(slices.Clone(line), "--device", "path=/sys/bus/pci/devices/0000:00:00.0"), "a file system": append(slices.Clone(line), "--fs", "tag=x,socket=/sandbox/fs"),
		"a debugger": append(slices.Clone(line), "--gdb", "path=/sandbox/gdb"), "twice": append(slices.Clone(line), "--seccomp", "true"), "what needs a machine": append(slices.Clone(line), "--landlock"),
		"a rule": append(slices.Clone(line), "--landlock-rules", "path=/,access=rw"), "another order": append(slices.Clone(line[2:]), line[:2]...),
	} {
		if err := CheckCloudHypervisor(args); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
