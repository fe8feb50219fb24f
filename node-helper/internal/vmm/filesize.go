package vmm

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// Beside disk and memory a VMM writes its devices' state and a log.
	fileSlack = 64 << 20
	// More than any sandbox has; a directory that somebody filled is not read to its end.
	maxNames = 1024
)

// fileSize is the most that one file of the VMM may grow to: to the guest's memory, which a snapshot writes, or to the largest file that it was given. A disk
// is as large as its quota from the start, however little of it is there.
func fileSize(dir *os.File, memoryMiB int) (uint64, error) {
	most := int64(memoryMiB) << 20
	// A descriptor of its own: reading moves the place in a directory.
	fd, err := unix.Openat(int(dir.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", dir.Name(), err)
	}
	again := os.NewFile(uintptr(fd), dir.Name())
	defer again.Close()
	names, err := again.Readdirnames(maxNames)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	for _, name := range names {
		var stat unix.Stat_t
		err := unix.Fstatat(fd, name, &stat, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && stat.Mode&unix.S_IFMT == unix.S_IFREG {
			most = max(most, stat.Size)
		}
	}
	return uint64(most) + fileSlack, nil
}
