package refusal

import (
	"fmt"
	"io/fs"
	"testing"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

func TestEveryReasonTravelsWithItsNameAndNeverAsSuccess(t *testing.T) {
	for number, name := range v1.ErrorReason_name {
		err := New(v1.ErrorReason(number), "because")
		if status.Code(err) == codes.OK {
			t.Errorf("%s is no refusal", name)
		}
		apitest.Refused(t, err, code(v1.ErrorReason(number)), name[len("ERROR_REASON_"):])
	}
}

func TestKernelErrorsHaveAReason(t *testing.T) {
	for errno, expected := range map[unix.Errno]struct {
		code   codes.Code
		reason string
	}{
		unix.ENOENT: {codes.NotFound, "FILE_NOT_FOUND"}, unix.EEXIST: {codes.AlreadyExists, "FILE_EXISTS"},
		unix.ENOTDIR: {codes.FailedPrecondition, "NOT_A_DIRECTORY"}, unix.EISDIR: {codes.FailedPrecondition, "IS_A_DIRECTORY"},
		unix.ENOTEMPTY: {codes.FailedPrecondition, "DIRECTORY_NOT_EMPTY"}, unix.ENOSPC: {codes.ResourceExhausted, "DISK_FULL"},
		unix.EACCES: {codes.PermissionDenied, "PERMISSION_DENIED_IN_GUEST"}, unix.EROFS: {codes.PermissionDenied, "PERMISSION_DENIED_IN_GUEST"},
		unix.ELOOP: {codes.InvalidArgument, "PATH_INVALID"}, unix.EIO: {codes.Internal, "INTERNAL"},
	} {
		err := OfFile(fmt.Errorf("wrapped: %w", &fs.PathError{Op: "open", Path: "/x", Err: errno}), "/x")
		apitest.Refused(t, err, expected.code, expected.reason)
	}
}
