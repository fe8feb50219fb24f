package confine

import (
	"fmt"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	ll "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Files is what the jail shows: the same paths that its mounts made, once more.
type Files struct {
	Read, Write []string // directories or files, with all beneath
	Devices     []string // opened for reading and writing, and for ioctl
	Execute     []string // files
}

const (
	read = ll.AccessFSReadFile | ll.AccessFSReadDir
	// No directory, link, FIFO or device is made, and nothing moves to another directory.
	write   = read | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSMakeReg | ll.AccessFSMakeSock | ll.AccessFSRemoveFile
	device  = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSIoctlDev
	execute = ll.AccessFSReadFile | ll.AccessFSExecute
	// The rights that a rule for a file may hold.
	ofFile = ll.AccessFSReadFile | ll.AccessFSWriteFile | ll.AccessFSTruncate | ll.AccessFSExecute | ll.AccessFSIoctlDev
)

// Restrict holds the whole process to those files, to no TCP, and to signals and abstract sockets of its own: as much of it as the kernel knows.
// Descriptors that are open already are not touched by it. Sets no_new_privs.
func (f Files) Restrict() error {
	var rules []landlock.Rule
	for _, granted := range []struct {
		access landlock.AccessFSSet
		paths  []string
	}{{read, f.Read}, {write, f.Write}, {device, f.Devices}, {execute, f.Execute}} {
		for _, path := range granted.paths {
			info, err := os.Stat(path)
			if err != nil {
				return fmt.Errorf("landlock: %w", err)
			}
			access := granted.access
			if !info.IsDir() {
				access &= ofFile
			}
			rules = append(rules, landlock.PathAccess(access, path))
		}
	}
	if err := landlock.V7.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("landlock: %w", err)
	}
	return nil
}

// LandlockABI is the kernel's, 0 where it has none: then namespaces, uid and the filter of system calls hold alone.
func LandlockABI() int {
	version, err := ll.LandlockGetABIVersion()
	if err != nil {
		return 0
	}
	return version
}
