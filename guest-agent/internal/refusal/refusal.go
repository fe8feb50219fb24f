// Package refusal turns a reason for which the agent refuses a call into a gRPC status.
//
// The status carries a google.rpc.ErrorInfo whose reason is a name of cofferdam.v1.ErrorReason without its prefix. One
// reason always goes with one status code, the same one in every Cofferdam service.
package refusal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

const (
	domain = "cofferdam"
	prefix = "ERROR_REASON_"
)

// New is the status for a reason, with a message for people.
func New(reason v1.ErrorReason, format string, args ...any) error {
	plain := status.New(code(reason), fmt.Sprintf(format, args...))
	info := &errdetails.ErrorInfo{Reason: strings.TrimPrefix(reason.String(), prefix), Domain: domain}
	detailed, err := plain.WithDetails(info)
	if err != nil { // Only for code OK, which no reason has.
		return plain.Err()
	}
	return detailed.Err()
}

// Invalid is the refusal of an argument that has no reason of its own.
func Invalid(format string, args ...any) error {
	return New(v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT, format, args...)
}

// OfFile is the refusal for what the kernel said about a path.
func OfFile(err error, path string) error {
	return New(fileReason(err), "%s: %v", path, cause(err))
}

func cause(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

func fileReason(err error) v1.ErrorReason {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return v1.ErrorReason_ERROR_REASON_INTERNAL
	}
	switch errno {
	case unix.ENOENT:
		return v1.ErrorReason_ERROR_REASON_FILE_NOT_FOUND
	case unix.EEXIST:
		return v1.ErrorReason_ERROR_REASON_FILE_EXISTS
	case unix.ENOTDIR:
		return v1.ErrorReason_ERROR_REASON_NOT_A_DIRECTORY
	case unix.EISDIR:
		return v1.ErrorReason_ERROR_REASON_IS_A_DIRECTORY
	case unix.ENOTEMPTY:
		return v1.ErrorReason_ERROR_REASON_DIRECTORY_NOT_EMPTY
	case unix.ENOSPC, unix.EDQUOT, unix.EFBIG:
		return v1.ErrorReason_ERROR_REASON_DISK_FULL
	case unix.EACCES, unix.EPERM, unix.EROFS, unix.EBUSY, unix.ETXTBSY:
		return v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST
	case unix.ELOOP, unix.ENAMETOOLONG, unix.EINVAL, unix.EXDEV, unix.ENXIO:
		return v1.ErrorReason_ERROR_REASON_PATH_INVALID
	default:
		return v1.ErrorReason_ERROR_REASON_INTERNAL
	}
}

func code(reason v1.ErrorReason) codes.Code {
	switch reason {
	case v1.ErrorReason_ERROR_REASON_TOKEN_MISSING, v1.ErrorReason_ERROR_REASON_TOKEN_INVALID:
		return codes.Unauthenticated
	case v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST:
		return codes.PermissionDenied
	case v1.ErrorReason_ERROR_REASON_INVALID_ARGUMENT,
		v1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID,
		v1.ErrorReason_ERROR_REASON_ENVIRONMENT_INVALID,
		v1.ErrorReason_ERROR_REASON_PATH_INVALID:
		return codes.InvalidArgument
	case v1.ErrorReason_ERROR_REASON_PROCESS_NOT_FOUND,
		v1.ErrorReason_ERROR_REASON_COMMAND_NOT_FOUND,
		v1.ErrorReason_ERROR_REASON_FILE_NOT_FOUND:
		return codes.NotFound
	case v1.ErrorReason_ERROR_REASON_FILE_EXISTS:
		return codes.AlreadyExists
	case v1.ErrorReason_ERROR_REASON_NOT_A_DIRECTORY,
		v1.ErrorReason_ERROR_REASON_IS_A_DIRECTORY,
		v1.ErrorReason_ERROR_REASON_DIRECTORY_NOT_EMPTY,
		v1.ErrorReason_ERROR_REASON_GUEST_NOT_CONFIGURED,
		v1.ErrorReason_ERROR_REASON_SANDBOX_NOT_RUNNING,
		v1.ErrorReason_ERROR_REASON_PORT_CLOSED:
		return codes.FailedPrecondition
	case v1.ErrorReason_ERROR_REASON_CONNECTION_RESET:
		return codes.Aborted
	case v1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
		v1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED,
		v1.ErrorReason_ERROR_REASON_DISK_FULL:
		return codes.ResourceExhausted
	case v1.ErrorReason_ERROR_REASON_OUTPUT_LOST:
		return codes.DataLoss
	default:
		return codes.Internal
	}
}
