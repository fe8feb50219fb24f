// Package vmm starts VMMs in jails, checks their command lines, and finds and kills their processes.
//
// A start has two halves. The parent (jail.go) runs in the helper: it opens everything that the jail may hold. The child (stage.go) is the
// helper's own binary in new mount, pid, ipc and uts namespaces: it arranges what it was given, gives up root and becomes the VMM.
package vmm

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"cofferdam.dev/node-helper/internal/netspace"
	"golang.org/x/sys/unix"
)

// StageVerb is the helper's hidden argument that makes it the child.
const StageVerb = "vmm-stage"

// Descriptors of the VMM; what is absent is /dev/null until the exec and closed after it.
const (
	fdTap     = 3
	fdRAM     = 4
	fdState   = 5
	fdControl = 6
	fdMounts  = 7
)

const startWithin = 20 * time.Second

// Jail is one VMM to be started. All files stay the caller's.
type Jail struct {
	Program string
	Args    []string
	UID     int
	NetNS   *os.File
	Tap     *os.File // nil for a VMM that opens it by name
	RAM     *os.File // nil without a template
	State   *os.File // nil without a template
	Output  *Output
	Sandbox *os.File // directory, seen as /sandbox, writable
	// Directories seen read-only, nil if absent.
	Template, Image *os.File
	// Single files, seen as /volume/0 and so on, writable.
	Volumes []*os.File
	KVM     bool
	// The device that taps are opened through, and the one that memory is brought in through, page by page.
	TUN, Userfault bool
	// The VMM finds an API's listening socket and a file for its events open.
	API    bool
	Slot   int
	Limits Limits
}

// mount is a detached mount that the child puts in its place.
type mount struct {
	Target   string `json:"target"`
	File     bool   `json:"file,omitempty"`
	Writable bool   `json:"writable,omitempty"`
}

type link struct {
	Name   string `json:"name"`
	Target string `json:"target"`
}

// orders is all that the child is told.
type orders struct {
	Program string `json:"program"`
	// The program's ELF interpreter, empty for a static one: these two are all that can be executed.
	Interpreter string   `json:"interpreter"`
	Args        []string `json:"args"`
	UID         int      `json:"uid"`
	Mounts      []mount  `json:"mounts"`
	Links       []link   `json:"links"`
	Devices     []device `json:"devices"`
	API         bool     `json:"api"`
	Tap         bool     `json:"tap"`
	RAM         bool     `json:"ram"`
	State       bool     `json:"state"`
	// Bytes that a file may have at most.
	FileSize uint64 `json:"file_size"`
}

const (
	attrShared   = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	attrReadOnly = attrShared | unix.MOUNT_ATTR_RDONLY
	attrData     = attrReadOnly | unix.MOUNT_ATTR_NOEXEC
	attrSandbox  = attrShared | unix.MOUNT_ATTR_NOEXEC
)

// Start runs the VMM and returns once it has been executed, inside its jail and its limits.
func (j *Jail) Start(cgroups *Cgroups) (Process, error) {
	devices, err := j.devices()
	if err != nil {
		return Process{}, err
	}
	o := orders{
		Program: j.Program, Args: j.Args, UID: j.UID, Devices: devices, API: j.API, Tap: j.Tap != nil, RAM: j.RAM != nil, State: j.State != nil,
	}
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	if err := j.mounts(&o, &files); err != nil {
		return Process{}, err
	}
	if err := j.program(&o, &files); err != nil {
		return Process{}, err
	}
	size, err := fileSize(j.Sandbox, j.Limits.MemoryMiB)
	if err != nil {
		return Process{}, err
	}
	for _, volume := range j.Volumes {
		info, err := volume.Stat()
		if err != nil {
			return Process{}, err
		}
		size = max(size, uint64(info.Size())+fileSlack)
	}
	o.FileSize = size
	limits := j.Limits
	if limits.Disk, err = diskOf(j.Sandbox); err != nil {
		return Process{}, err
	}
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		return Process{}, err
	}
	defer null.Close()
	ours, theirs, err := controlPair()
	if err != nil {
		return Process{}, err
	}
	defer ours.Close()

	cmd := exec.Command("/proc/self/exe", StageVerb)
	cmd.Args[0] = "node-helper"
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = null, j.Output, j.Output
	cmd.ExtraFiles = append([]*os.File{or(j.Tap, null), or(j.RAM, null), or(j.State, null), theirs}, files...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
	}
	err = netspace.Do(j.NetNS, cmd.Start)
	theirs.Close()
	if err != nil {
		return Process{}, fmt.Errorf("start: %w", err)
	}
	// Reaps the VMM whenever it ends; after a restart of the helper init does.
	reaped := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(reaped)
	}()
	p := Process{PID: cmd.Process.Pid, Ended: reaped}
	p.StartTime, err = StartTime(p.PID)
	if err == nil {
		err = j.command(ours, p.PID, o, cgroups, limits)
	}
	if err != nil {
		_ = cmd.Process.Kill()
		<-reaped
		return Process{}, err
	}
	return p, nil
}

// command gives the child its orders, puts it under limits while it arranges its mounts, and waits for its exec.
func (j *Jail) command(control *os.File, pid int, o orders, cgroups *Cgroups, limits Limits) error {
	if err := control.SetDeadline(time.Now().Add(startWithin)); err != nil {
		return err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if _, err := control.Write(text); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	if err := cgroups.Place(j.Slot, pid, limits); err != nil {
		return err
	}
	if _, err := control.Write([]byte("go")); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("stage: %w", err)
	}
	complaint := make([]byte, 4096)
	// End of file is the exec: the descriptor closed itself.
	if n, _ := control.Read(complaint); n > 0 {
		return fmt.Errorf("stage: %s", complaint[:n])
	}
	// A stage that died says nothing either; a VMM that has been executed is not the helper's binary.
	same, err := runsOurBinary(pid)
	if err != nil || same {
		return fmt.Errorf("the stage ended before it became the VMM (%v)", err)
	}
	return nil
}

func runsOurBinary(pid int) (bool, error) {
	var own, other unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &own); err != nil {
		return false, err
	}
	if err := unix.Stat(fmt.Sprintf("/proc/%d/exe", pid), &other); err != nil {
		return false, err
	}
	return own.Ino == other.Ino && own.Dev == other.Dev, nil
}

func or(f, otherwise *os.File) *os.File {
	if f != nil {
		return f
	}
	return otherwise
}

// controlPair keeps the borders of messages, so orders and "go" need no framing.
func controlPair() (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	// Ours alone is non-blocking (it has deadlines); the flag is the open file's, and the ends are two.
	if err := unix.SetNonblock(pair[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(pair[0]), unix.Close(pair[1]))
	}
	return os.NewFile(uintptr(pair[0]), "control"), os.NewFile(uintptr(pair[1]), "control"), nil
}

// mounts opens what the jail shows, each as a mount of its own that is attached nowhere yet.
func (j *Jail) mounts(o *orders, files *[]*os.File) error {
	add := func(dir int, name, target string, attrs uint64, file bool) error {
		f, err := detached(dir, name, attrs)
		if err != nil {
			return fmt.Errorf("mount for %s: %w", target, err)
		}
		*files = append(*files, f)
		o.Mounts = append(o.Mounts, mount{Target: target, File: file, Writable: attrs&unix.MOUNT_ATTR_RDONLY == 0})
		return nil
	}
	if err := add(unix.AT_FDCWD, "/usr", "usr", attrReadOnly, false); err != nil {
		return err
	}
	for _, name := range []string{"lib", "lib64"} {
		// A link into /usr on a merged system, a directory on others.
		if target, err := os.Readlink("/" + name); err == nil {
			o.Links = append(o.Links, link{name, target})
		} else if _, err := os.Stat("/" + name); err == nil {
			if err := add(unix.AT_FDCWD, "/"+name, name, attrReadOnly, false); err != nil {
				return err
			}
		}
	}
	if err := add(unix.AT_FDCWD, "/etc/ld.so.cache", "etc/ld.so.cache", attrData, true); err != nil {
		return err
	}
	for _, d := range []struct {
		dir    *os.File
		target string
		attrs  uint64
	}{{j.Sandbox, "sandbox", attrSandbox}, {j.Template, "template", attrData}, {j.Image, "image", attrData}} {
		if d.dir == nil {
			continue
		}
		if err := add(int(d.dir.Fd()), "", d.target, d.attrs, false); err != nil {
			return err
		}
	}
	for n, volume := range j.Volumes {
		if err := add(int(volume.Fd()), "", fmt.Sprintf("volume/%d", n), attrSandbox, true); err != nil {
			return err
		}
	}
	return nil
}

func detached(dir int, name string, attrs uint64) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dir, name, flags)
	if err != nil {
		return nil, fmt.Errorf("open_tree: %w", err)
	}
	f := os.NewFile(uintptr(fd), filepath.Join("/", name))
	attr := &unix.MountAttr{Attr_set: attrs, Propagation: unix.MS_PRIVATE}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return nil, errors.Join(fmt.Errorf("mount_setattr: %w", err), f.Close())
	}
	return f, nil
}
