// Package file is cofferdam.v1.FileService: the guest's files, with the rights of the guest's root.
package file

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxChunk       = 64 << 10
	permissionBits = 0o7777
)

// Service answers the API from the file system.
type Service struct {
	v1.UnimplementedFileServiceServer
}

// ReadFile streams a regular file. Files of /proc, whose size is told as 0, are read to their end too.
func (Service) ReadFile(request *v1.ReadFileRequest, stream v1.FileService_ReadFileServer) error {
	path, err := clean(request.GetPath())
	if err != nil {
		return err
	}
	file, err := openRegular(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	// A read of /proc/kmsg and its like waits for news; the end of the stream must end it.
	defer context.AfterFunc(stream.Context(), func() { file.Close() })()
	if request.GetOffset() > 0 {
		if request.GetOffset() > 1<<62 {
			return nil // Beyond the end of any file.
		}
		if _, err := file.Seek(int64(request.GetOffset()), io.SeekStart); err != nil {
			return refusal.OfFile(err, path)
		}
	}
	return send(file, path, request.GetOffset(), request.GetLength(), stream.Send)
}

// send streams from the file's position on; length 0 is to the end.
func send(file io.Reader, path string, offset, length uint64, send func(*v1.ReadFileResponse) error) error {
	buffer := make([]byte, maxChunk)
	for left := length; length == 0 || left > 0; {
		wanted := buffer
		if length > 0 {
			wanted = buffer[:min(left, maxChunk)]
		}
		count, err := file.Read(wanted)
		if count > 0 {
			if err := send(&v1.ReadFileResponse{Offset: offset, Data: buffer[:count]}); err != nil {
				return err
			}
			offset += uint64(count)
			left -= uint64(count)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return refusal.OfFile(err, path)
		}
	}
	return nil
}

// StatFile tells of the path itself unless it is to follow a symbolic link.
func (Service) StatFile(_ context.Context, request *v1.StatFileRequest) (*v1.FileInfo, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	if request.GetFollow() {
		return statAt(path, 0)
	}
	return stat(path)
}

// MakeDirectory makes one; with make_parents one that is there already is fine.
func (Service) MakeDirectory(_ context.Context, request *v1.MakeDirectoryRequest) (*v1.FileInfo, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	mode, err := permissions(request.GetMode(), 0o755)
	if err != nil {
		return nil, err
	}
	if request.GetMakeParents() {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return stat(path)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, refusal.OfFile(err, path)
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, refusal.OfFile(err, path)
	}
	if err := unix.Chmod(path, mode); err != nil { // Whatever the umask.
		return nil, refusal.OfFile(err, path)
	}
	return stat(path)
}

// MoveFile renames within one file system.
func (Service) MoveFile(_ context.Context, request *v1.MoveFileRequest) (*v1.FileInfo, error) {
	source, err := clean(request.GetSource())
	if err != nil {
		return nil, err
	}
	destination, err := clean(request.GetDestination())
	if err != nil {
		return nil, err
	}
	flags := uint(unix.RENAME_NOREPLACE)
	if request.GetReplace() {
		flags = 0
	}
	err = unix.Renameat2(unix.AT_FDCWD, source, unix.AT_FDCWD, destination, flags)
	switch {
	case err == nil:
		return stat(destination)
	case errors.Is(err, unix.EXDEV):
		return nil, invalid("%s and %s lie in different file systems", source, destination)
	case errors.Is(err, unix.EEXIST), errors.Is(err, unix.ENOTEMPTY), errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENOTDIR):
		return nil, refusal.OfFile(err, destination)
	default:
		return nil, refusal.OfFile(err, source)
	}
}

// RemoveFile removes a file or a directory.
func (Service) RemoveFile(_ context.Context, request *v1.RemoveFileRequest) (*v1.RemoveFileResponse, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	if path == "/" {
		return nil, invalid("the root directory cannot be removed")
	}
	if _, err := os.Lstat(path); err != nil {
		return nil, refusal.OfFile(err, path)
	}
	remove := os.Remove
	if request.GetRecursive() {
		remove = os.RemoveAll
	}
	if err := remove(path); err != nil {
		return nil, refusal.OfFile(err, path)
	}
	return &v1.RemoveFileResponse{}, nil
}

func permissions(mode, fallback uint32) (uint32, error) {
	if mode > permissionBits {
		return 0, refusal.Invalid("mode %#o: expected permission bits up to 07777", mode)
	}
	if mode == 0 {
		return fallback, nil
	}
	return mode, nil
}
