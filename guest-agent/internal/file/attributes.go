package file

import (
	"context"
	"math"
	"os"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// SetFileAttributes checks everything before it sets anything; what the kernel refuses then leaves the rest unset.
func (Service) SetFileAttributes(_ context.Context, request *v1.SetFileAttributesRequest) (*v1.FileInfo, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	if request.GetMode() > permissionBits {
		return nil, refusal.Invalid("mode %#o: expected permission bits up to 07777", request.GetMode())
	}
	times, err := timesOf(request.GetAccessTime(), request.GetModifyTime())
	if err != nil {
		return nil, err
	}
	if request.Size != nil {
		if err := truncate(request.GetSize(), func(size int64) error { return os.Truncate(path, size) }, path); err != nil {
			return nil, err
		}
	}
	if request.Uid != nil || request.Gid != nil {
		if err := os.Chown(path, owner(request.Uid), owner(request.Gid)); err != nil {
			return nil, refusal.OfFile(err, path)
		}
	}
	if request.Mode != nil { // After the owner, whose change takes the set-user-id bit away.
		if err := unix.Chmod(path, request.GetMode()); err != nil {
			return nil, refusal.OfFile(err, path)
		}
	}
	if times != nil {
		if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, 0); err != nil {
			return nil, refusal.OfFile(err, path)
		}
	}
	return statAt(path, 0)
}

// owner is -1 for one that stays.
func owner(id *uint32) int {
	if id == nil {
		return -1
	}
	return int(*id)
}

func truncate(size uint64, set func(int64) error, path string) error {
	if size > math.MaxInt64 {
		return refusal.OfFile(unix.EFBIG, path)
	}
	if err := set(int64(size)); err != nil {
		return refusal.OfFile(err, path)
	}
	return nil
}

// timesOf is what utimensat(2) takes: nil where no time is given, a mark where one stays as it is.
func timesOf(access, modify *timestamppb.Timestamp) ([]unix.Timespec, error) {
	if access == nil && modify == nil {
		return nil, nil
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	for n, given := range []*timestamppb.Timestamp{access, modify} {
		if given == nil {
			continue
		}
		if err := given.CheckValid(); err != nil {
			return nil, refusal.Invalid("a time: %v", err)
		}
		times[n] = unix.Timespec{Sec: given.GetSeconds(), Nsec: int64(given.GetNanos())}
	}
	return times, nil
}
