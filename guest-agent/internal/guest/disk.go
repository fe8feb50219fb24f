package guest

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"cofferdam.dev/guest-agent/internal/ext4"
)

const (
	// The sandbox's own disk, as package boot mounts it. Its mount lies below the guest's root and has no path any more.
	ownDisk = "/dev/vdb"
	// The kernel learns of a larger disk by an interrupt and looks at its size a little later.
	grownWithin = 5 * time.Second
)

// GrowDisk lets the file system fill a disk that has grown, while it is in use: what resize2fs(8) asks of the kernel.
func (Kernel) GrowDisk() error {
	disk, err := os.Open(ownDisk)
	if err != nil {
		return err
	}
	defer disk.Close()
	blocks, blockSize, err := ext4.Size(disk)
	if err != nil {
		return err
	}
	var wanted uint64
	for deadline := time.Now().Add(grownWithin); ; time.Sleep(time.Millisecond) {
		size, err := ext4.DiskSize(disk)
		if err != nil {
			return err
		}
		if wanted = size / blockSize; wanted > blocks {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has %d bytes and its file system %d: there is nothing to grow into", ownDisk, size, blocks*blockSize)
		}
	}
	return resize(wanted)
}

// resize goes through a second mount of the same file system: the ioctl wants a file of it, and the overlay passes none on.
func resize(blocks uint64) (err error) {
	at, err := os.MkdirTemp("/run", "disk-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(at)) }()
	if err := unix.Mount(ownDisk, at, "ext4", unix.MS_NODEV|unix.MS_NOATIME, ""); err != nil {
		return fmt.Errorf("mount %s: %w", ownDisk, err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(at, unix.MNT_DETACH)) }()
	directory, err := os.Open(at)
	if err != nil {
		return err
	}
	defer directory.Close()
	return ext4.Resize(directory, blocks)
}
