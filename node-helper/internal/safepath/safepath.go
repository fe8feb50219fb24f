// Package safepath opens files whose names or surroundings an unprivileged process controls.
//
// Every open goes through openat2 with RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS, and everything that
// follows (chown, chmod, mount) works on the descriptor, never on the name again.
package safepath

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

// OpenAt opens name beneath dir. No component may be a symbolic link or lead out of dir.
func OpenAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags) | unix.O_CLOEXEC, Resolve: resolve}
	if flags&unix.O_CREAT != 0 {
		how.Mode = uint64(mode)
	}
	for {
		fd, err := unix.Openat2(int(dir.Fd()), name, &how)
		// EAGAIN: a rename raced with the walk and the kernel could not prove that it stayed beneath dir.
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return nil, &os.PathError{Op: "openat2", Path: filepath.Join(dir.Name(), name), Err: err}
		}
		return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
	}
}

// OpenDir opens an absolute directory of which no component is a symbolic link.
func OpenDir(path string) (*os.File, error) {
	if !filepath.IsAbs(path) || filepath.Clean(path) != path {
		return nil, fmt.Errorf("%q is not a clean absolute path", path)
	}
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	root := os.NewFile(uintptr(fd), "/")
	defer root.Close()
	relative := strings.TrimPrefix(path, "/")
	if relative == "" {
		relative = "."
	}
	return OpenAt(root, relative, unix.O_RDONLY|unix.O_DIRECTORY, 0)
}

// OpenRegular opens name beneath dir and refuses everything but a regular file with a single name. O_NONBLOCK keeps a
// FIFO put in the file's place from holding the caller. A second name would let chown reach a file of elsewhere.
func OpenRegular(dir *os.File, name string, flags int, mode uint32) (*os.File, unix.Stat_t, error) {
	var stat unix.Stat_t
	file, err := OpenAt(dir, name, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		return nil, stat, err
	}
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		file.Close()
		return nil, stat, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		file.Close()
		return nil, stat, fmt.Errorf("%s is not a regular file", file.Name())
	}
	if stat.Nlink != 1 {
		file.Close()
		return nil, stat, fmt.Errorf("%s has %d names, expected one", file.Name(), stat.Nlink)
	}
	return file, stat, nil
}
