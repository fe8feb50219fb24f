package roottest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

type removeArgs struct {
	Sandbox string `json:"sandbox"`
}

// What a VMM shuts node-agent out of goes all the same.
func TestRemovalNeedsNoHelpOfTheVMM(t *testing.T) {
	w := newWorld(t)
	w.ok("slot.create", slotArgs{1})
	dir := w.sandbox("sb-a", 1)
	kept := filepath.Join(w.dir, "kept")
	must(t, os.WriteFile(kept, []byte("not the sandbox's"), 0o644))
	uid := uint32(vmmUIDBase + 1)
	vmm := exec.Command("/bin/sh", "-ec", `umask 077; mkdir shut; cd shut; echo x > file; ln -s "$0" link; mkfifo fifo; ln -s .. up; mkdir -p .moved-1/a/b; chmod 0 .moved-1`, kept)
	vmm.Dir = dir
	vmm.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: agentGID}}
	if out, err := vmm.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	w.ok("sandbox.remove", removeArgs{"sb-a"})
	w.ok("sandbox.remove", removeArgs{"sb-a"})
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is left: %v", err)
	}
	if text, err := os.ReadFile(kept); string(text) != "not the sandbox's" {
		t.Errorf("a link was followed: %q %v", text, err)
	}
}

func TestOnlyASandboxWithoutAVMMIsRemoved(t *testing.T) {
	w := newWorld(t)
	w.image()
	sandboxes := filepath.Join(w.dir, "sandboxes")
	must(t, os.Mkdir(filepath.Join(sandboxes, "sb-roots"), 0o755))
	w.refused("invalid", "sandbox.remove", removeArgs{"sb-roots"})
	must(t, os.Symlink(sandboxes, filepath.Join(sandboxes, "sb-link")))
	w.refused("invalid", "sandbox.remove", removeArgs{"sb-link"})
	for _, name := range []string{"", ".", "..", "../images", "sb-a/..", imageDigest} {
		w.refused("invalid", "sandbox.remove", removeArgs{name})
	}

	w.ok("slot.create", slotArgs{1})
	dir := w.sandbox("sb-a", 1)
	w.startVMM(1, "sb-a", false)
	w.refused("exists", "sandbox.remove", removeArgs{"sb-a"})
	if _, err := os.Stat(filepath.Join(dir, "disk.ext4")); err != nil {
		t.Error(err)
	}
	w.ok("vmm.stop", slotArgs{1})
	w.ok("sandbox.remove", removeArgs{"sb-a"})
}

func TestAVMMThatDoesNotComeUpSaysWhy(t *testing.T) {
	w := newWorld(t)
	w.image()
	w.ok("slot.create", slotArgs{1})
	must(t, os.Remove(filepath.Join(w.sandbox("sb-a", 1), "disk.ext4")))
	// It ends by itself, soon after it was executed or, to the helper's surprise, before.
	if a := w.call("vmm.start", startRequest(1, "sb-a", false)); a.Error != nil {
		if !strings.Contains(a.Error.Message, "/sandbox/disk.ext4") {
			t.Errorf("the start failed without the reason: %s", a.Error.Message)
		}
		return
	}
	w.eventually("QEMU ends", func() bool { return w.vmmPID(1) == 0 })
	var stopped struct{ Output string }
	must(t, json.Unmarshal(w.ok("vmm.stop", slotArgs{1}), &stopped))
	if !strings.Contains(stopped.Output, "/sandbox/disk.ext4") {
		t.Errorf("it said %q", stopped.Output)
	}
}
