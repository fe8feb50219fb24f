package file

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// stat tells of the path itself: a symbolic link is not followed.
func stat(path string) (*v1.FileInfo, error) { return statAt(path, unix.AT_SYMLINK_NOFOLLOW) }

func statAt(path string, flags int) (*v1.FileInfo, error) {
	var told unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &told); err != nil {
		return nil, refusal.OfFile(err, path)
	}
	info := infoOf(path, &told)
	if info.Type == v1.FileType_FILE_TYPE_SYMLINK {
		target, err := os.Readlink(path)
		if err != nil {
			return nil, refusal.OfFile(err, path)
		}
		info.LinkTarget = text(target)
	}
	return info, nil
}

// statOpen tells of an open file, whatever its path names meanwhile.
func statOpen(file *os.File, path string) (*v1.FileInfo, error) {
	var told unix.Statx_t
	err := withDescriptor(file, func(descriptor int) error {
		return unix.Statx(descriptor, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &told)
	})
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	return infoOf(path, &told), nil
}

// infoOf is what the kernel told. Names are bytes to the kernel, text to the API.
func infoOf(path string, told *unix.Statx_t) *v1.FileInfo {
	mode := uint32(told.Mode)
	info := &v1.FileInfo{
		Path: text(path), Type: typeOf(mode), Size: told.Size, Mode: mode & permissionBits, Uid: told.Uid, Gid: told.Gid,
		ModifyTime: timeOf(told.Mtime), AccessTime: timeOf(told.Atime), ChangeTime: timeOf(told.Ctime),
		Device: unix.Mkdev(told.Dev_major, told.Dev_minor), Inode: told.Ino, Links: uint64(told.Nlink), RawMode: mode,
		RawDevice: unix.Mkdev(told.Rdev_major, told.Rdev_minor), BlockSize: told.Blksize, Blocks: told.Blocks,
	}
	if told.Mask&unix.STATX_BTIME != 0 {
		info.BirthTime = timeOf(told.Btime)
	}
	return info
}

func timeOf(stamp unix.StatxTimestamp) *timestamppb.Timestamp {
	return &timestamppb.Timestamp{Seconds: stamp.Sec, Nanos: int32(stamp.Nsec)}
}

func typeOf(mode uint32) v1.FileType {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return v1.FileType_FILE_TYPE_REGULAR
	case unix.S_IFDIR:
		return v1.FileType_FILE_TYPE_DIRECTORY
	case unix.S_IFLNK:
		return v1.FileType_FILE_TYPE_SYMLINK
	default:
		return v1.FileType_FILE_TYPE_OTHER
	}
}

// resolve asks the kernel, which follows links as every call of a process would.
func resolve(path string) (string, error) {
	descriptor, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", refusal.OfFile(err, path)
	}
	defer unix.Close(descriptor)
	resolved, err := os.Readlink(descriptorPath(descriptor))
	if err != nil {
		return "", refusal.OfFile(err, path)
	}
	return resolved, nil
}

func descriptorPath(descriptor int) string { return fmt.Sprintf("/proc/self/fd/%d", descriptor) }

// withDescriptor leaves the file as it is: after File.Fd a read that waits could not be ended.
func withDescriptor(file *os.File, do func(descriptor int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	if err := raw.Control(func(descriptor uintptr) { done = do(int(descriptor)) }); err != nil {
		return err
	}
	return done
}
