package guest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// The sandbox's own disk, as package boot mounts it. Its mount lies below the guest's root and has no path any more.
	ownDisk = "/dev/vdb"
	// The kernel learns of a larger disk by an interrupt and looks at its size a little later.
	grownWithin = 5 * time.Second

	// EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64): the new number of blocks (fs/ext4/ext4.h).
	ext4ResizeFS = 0x40086610
	// Of struct ext4_super_block, which lies 1024 bytes into the disk.
	superBlock       = 1024
	superBlockBytes  = 0x158
	blocksLowAt      = 0x4
	logBlockSizeAt   = 0x18
	magicAt          = 0x38
	blocksHighAt     = 0x150
	ext4Magic        = 0xef53
	smallestBlockLog = 10
)

// GrowDisk lets the file system fill a disk that has grown, while it is in use: what resize2fs(8) asks of the kernel.
func (Kernel) GrowDisk() error {
	disk, err := os.Open(ownDisk)
	if err != nil {
		return err
	}
	defer disk.Close()
	blocks, blockSize, err := fileSystemSize(disk)
	if err != nil {
		return err
	}
	var wanted uint64
	for deadline := time.Now().Add(grownWithin); ; time.Sleep(time.Millisecond) {
		size, err := diskSize(disk)
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

// fileSystemSize reads what the kernel keeps of the mounted file system's superblock.
func fileSystemSize(disk *os.File) (blocks, blockSize uint64, err error) {
	block := make([]byte, superBlockBytes)
	if _, err := disk.ReadAt(block, superBlock); err != nil {
		return 0, 0, err
	}
	if binary.LittleEndian.Uint16(block[magicAt:]) != ext4Magic {
		return 0, 0, fmt.Errorf("%s holds no ext4", disk.Name())
	}
	low, high := binary.LittleEndian.Uint32(block[blocksLowAt:]), binary.LittleEndian.Uint32(block[blocksHighAt:])
	return uint64(high)<<32 | uint64(low), 1 << (smallestBlockLog + binary.LittleEndian.Uint32(block[logBlockSizeAt:])), nil
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
	return resizeMounted(directory, blocks)
}

func resizeMounted(directory *os.File, blocks uint64) error {
	// Safety: the kernel reads a u64 from a pointer that stays live for the call.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, directory.Fd(), ext4ResizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("EXT4_IOC_RESIZE_FS: %w", errno)
	}
	return nil
}

func diskSize(disk *os.File) (uint64, error) {
	// Safety: the kernel writes a u64 to a pointer that stays live for the call.
	var size uint64
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return 0, fmt.Errorf("BLKGETSIZE64: %w", errno)
	}
	return size, nil
}
