// Package ext4 lets a mounted file system grow to the size of its disk, as resize2fs(8) asks the kernel to.
package ext4

import (
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// EXT4_IOC_RESIZE_FS, _IOW('f', 16, __u64): the new number of blocks (fs/ext4/ext4.h).
	resizeFS = 0x40086610
	// Of struct ext4_super_block, which lies 1024 bytes into the disk.
	superBlock       = 1024
	superBlockBytes  = 0x158
	blocksLowAt      = 0x4
	logBlockSizeAt   = 0x18
	magicAt          = 0x38
	blocksHighAt     = 0x150
	magic            = 0xef53
	smallestBlockLog = 10
)

// Fill lets a file system grow to the size of its disk: a copy may be larger than what it is a copy of, and nobody but its
// guest looks into it.
func Fill(device, directory string) error {
	disk, err := os.Open(device)
	if err != nil {
		return err
	}
	defer disk.Close()
	blocks, blockSize, err := Size(disk)
	if err != nil {
		return err
	}
	size, err := DiskSize(disk)
	if err != nil || size/blockSize <= blocks {
		return err
	}
	root, err := os.Open(directory)
	if err != nil {
		return err
	}
	defer root.Close()
	return Resize(root, size/blockSize)
}

// Size reads what the kernel keeps of the mounted file system's superblock.
func Size(disk *os.File) (blocks, blockSize uint64, err error) {
	block := make([]byte, superBlockBytes)
	if _, err := disk.ReadAt(block, superBlock); err != nil {
		return 0, 0, err
	}
	if binary.LittleEndian.Uint16(block[magicAt:]) != magic {
		return 0, 0, fmt.Errorf("%s holds no ext4", disk.Name())
	}
	low, high := binary.LittleEndian.Uint32(block[blocksLowAt:]), binary.LittleEndian.Uint32(block[blocksHighAt:])
	return uint64(high)<<32 | uint64(low), 1 << (smallestBlockLog + binary.LittleEndian.Uint32(block[logBlockSizeAt:])), nil
}

// Resize takes any directory of the file system.
func Resize(directory *os.File, blocks uint64) error {
	// Safety: the kernel reads a u64 from a pointer that stays live for the call.
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, directory.Fd(), resizeFS, uintptr(unsafe.Pointer(&blocks))); errno != 0 {
		return fmt.Errorf("EXT4_IOC_RESIZE_FS: %w", errno)
	}
	return nil
}

// DiskSize is in bytes.
func DiskSize(disk *os.File) (uint64, error) {
	// Safety: the kernel writes a u64 to a pointer that stays live for the call.
	var size uint64
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), unix.BLKGETSIZE64, uintptr(unsafe.Pointer(&size))); errno != 0 {
		return 0, fmt.Errorf("BLKGETSIZE64: %w", errno)
	}
	return size, nil
}
