// Package tenant holds together what runs in the guest and is not the agent, so that it can be stopped and let go on as
// one: a cgroup (cgroup-v2.rst, "cgroup.freeze") that every process is born into and that its children stay in.
//
// The tenant is root in the guest and may move its processes elsewhere. What it breaks by that is its own: no boundary
// between tenants depends on this, and the agent goes on whatever is found here.
package tenant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	name = "tenant"
	// Between looks at whether all have stopped, should the kernel not tell.
	lookAgain = 50 * time.Millisecond
)

// Group is safe for concurrent use.
type Group struct {
	root *os.File

	mu     sync.Mutex
	frozen []string // what Freeze stopped, and Thaw lets go on
}

// Open takes the cgroup2 hierarchy that is mounted at a path, and keeps hold of it: whoever unmounts it later hides it
// from others, not from this.
func Open(mounted string) (*Group, error) {
	root, err := os.OpenFile(mounted, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	g := &Group{root: root}
	directory, err := g.Directory()
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return g, directory.Close()
}

// Directory opens the cgroup for a process to be born into (clone3(2), CLONE_INTO_CGROUP), made anew if it is gone.
func (g *Group) Directory() (*os.File, error) {
	if err := unix.Mkdirat(int(g.root.Fd()), name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("cgroup: %w", err)
	}
	return g.open(name, unix.O_RDONLY|unix.O_DIRECTORY)
}

// Freeze returns once nothing of the tenant runs. What fails lets go on what it has stopped.
//
// Beside its own cgroup these are all below the root: a container engine in the guest makes its own there. One that the
// tenant has stopped by itself stays as it is.
func (g *Group) Freeze(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	names, err := g.children()
	if err != nil {
		return err
	}
	for _, child := range names {
		if state, err := g.read(child + "/cgroup.freeze"); err != nil || strings.TrimSpace(state) != "0" {
			continue // Gone meanwhile, or stopped already.
		}
		err := g.write(child+"/cgroup.freeze", "1")
		if errors.Is(err, unix.ENODEV) || errors.Is(err, os.ErrNotExist) {
			continue
		}
		g.frozen = append(g.frozen, child)
		if err == nil {
			err = g.await(ctx, child)
		}
		if err != nil {
			return errors.Join(err, g.thaw())
		}
	}
	return nil
}

// Thaw lets everything that Freeze stopped go on.
func (g *Group) Thaw() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.thaw()
}

func (g *Group) thaw() error {
	var failed error
	for _, child := range g.frozen {
		if err := g.write(child+"/cgroup.freeze", "0"); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ENODEV) {
			failed = errors.Join(failed, err)
		}
	}
	if failed == nil {
		g.frozen = nil
	}
	return failed
}

// CPU is the processor time that all of the tenant has used so far.
func (g *Group) CPU() (time.Duration, error) {
	names, err := g.children()
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, child := range names {
		text, err := g.read(child + "/cpu.stat")
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENODEV) {
			continue
		}
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(text) {
			if value, ok := strings.CutPrefix(strings.TrimSpace(line), "usage_usec "); ok {
				used, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					return 0, fmt.Errorf("cpu.stat: %w", err)
				}
				total += time.Duration(used) * time.Microsecond
			}
		}
	}
	return total, nil
}

// await waits for the kernel's word: cgroup.events changes when the last task has stopped.
func (g *Group) await(ctx context.Context, child string) error {
	events, err := g.open(child+"/cgroup.events", unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer events.Close()
	text := make([]byte, 256)
	for {
		count, err := events.ReadAt(text, 0)
		if count == 0 {
			return fmt.Errorf("%s: %w", events.Name(), err)
		}
		if bytes.Contains(text[:count], []byte("frozen 1")) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("not all processes of %s stopped: %w", child, err)
		}
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(events.Fd()), Events: unix.POLLPRI}}, int(lookAgain.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// children are the cgroups right below the root.
func (g *Group) children() ([]string, error) {
	directory, err := g.open(".", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	entries, err := directory.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

func (g *Group) open(path string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(g.root.Fd()), path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: filepath.Join(g.root.Name(), path), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(g.root.Name(), path)), nil
}

func (g *Group) read(path string) (string, error) {
	file, err := g.open(path, unix.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text := make([]byte, 4096)
	count, err := unix.Read(int(file.Fd()), text)
	return string(text[:max(count, 0)]), err
}

func (g *Group) write(path, value string) error {
	file, err := g.open(path, unix.O_WRONLY)
	if err != nil {
		return err
	}
	_, err = unix.Write(int(file.Fd()), []byte(value))
	return errors.Join(err, file.Close())
}
