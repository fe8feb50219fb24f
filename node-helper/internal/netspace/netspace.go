// Package netspace makes, enters and removes named network namespaces (those that `ip netns` shows).
//
// A namespace belongs to a thread, and Go moves goroutines between threads. So whoever enters one does it in Do: on a
// goroutine of its own, locked to its thread, and a thread that could not go back is never given back to the runtime.
package netspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dir is where named namespaces are mounted.
const Dir = "/run/netns"

// Path is where the named namespace is mounted.
func Path(name string) string { return filepath.Join(Dir, name) }

// Open returns a descriptor of the namespace; os.ErrNotExist if there is none.
func Open(name string) (*os.File, error) {
	fd, err := unix.Open(Path(name), unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: Path(name), Err: err}
	}
	file := os.NewFile(uintptr(fd), Path(name))
	// A file without the mount is what a half-made or half-removed namespace leaves behind.
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || fs.Type != unix.NSFS_MAGIC {
		file.Close()
		return nil, &os.PathError{Op: "open", Path: Path(name), Err: os.ErrNotExist}
	}
	return file, nil
}

// Current is the namespace of the calling thread.
func Current() (*os.File, error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "net"), nil
}

// Inode names a namespace among all that live.
func Inode(ns *os.File) (uint64, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(int(ns.Fd()), &stat); err != nil {
		return 0, err
	}
	return stat.Ino, nil
}

// Create makes a new, empty namespace under a name.
func Create(name string) error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(Path(name), os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	file.Close()
	err = onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return unix.Mount("/proc/thread-self/ns/net", Path(name), "none", unix.MS_BIND, "")
	})
	if err != nil {
		return errors.Join(fmt.Errorf("namespace %s: %w", name, err), os.Remove(Path(name)))
	}
	return nil
}

// Delete removes the name. The namespace itself ends with its last process, socket and descriptor. Idempotent.
func Delete(name string) error {
	err := unix.Unmount(Path(name), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && err != unix.EINVAL && err != unix.ENOENT {
		return fmt.Errorf("unmount %s: %w", Path(name), err)
	}
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Lock keeps other processes that take it from making or removing namespaces meanwhile.
func Lock() (unlock func(), err error) {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.Open(Dir)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX)
		if err == nil {
			return func() { dir.Close() }, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", Dir, err), dir.Close())
		}
	}
}

// List names all namespaces.
func List() ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// Do runs f inside the namespace. Sockets, devices and processes that f makes belong to it for good.
func Do(ns *os.File, f func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", ns.Name(), err)
		}
		return f()
	})
}

func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := Current()
		if err != nil {
			done <- err
			runtime.UnlockOSThread()
			return
		}
		defer home.Close()
		err = f()
		// Unlocked only when it is home again; otherwise the thread ends with this goroutine.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
