// Package file is cofferdam.v1.FileService: the guest's files, with the rights of the guest's root.
package file

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/timestamppb"

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
	// Without O_NONBLOCK the open of a FIFO would wait for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return refusal.OfFile(err, path)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return refusal.OfFile(err, path)
	}
	if info.IsDir() {
		return refusal.OfFile(unix.EISDIR, path)
	}
	if !info.Mode().IsRegular() {
		return invalid("%s is no regular file", path)
	}
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

// StatFile tells of the path itself: a symbolic link is not followed.
func (Service) StatFile(_ context.Context, request *v1.StatFileRequest) (*v1.FileInfo, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
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

func stat(path string) (*v1.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	result := &v1.FileInfo{
		Path: path, Type: typeOf(info.Mode()), Size: uint64(info.Size()), ModifyTime: timestamppb.New(info.ModTime()),
	}
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		result.Mode, result.Uid, result.Gid = system.Mode&permissionBits, system.Uid, system.Gid
	}
	if result.Type == v1.FileType_FILE_TYPE_SYMLINK {
		if result.LinkTarget, err = os.Readlink(path); err != nil {
			return nil, refusal.OfFile(err, path)
		}
	}
	// Names are bytes to the kernel, text to the API.
	result.Path, result.LinkTarget = text(result.Path), text(result.LinkTarget)
	return result, nil
}

func typeOf(mode os.FileMode) v1.FileType {
	switch {
	case mode.IsRegular():
		return v1.FileType_FILE_TYPE_REGULAR
	case mode.IsDir():
		return v1.FileType_FILE_TYPE_DIRECTORY
	case mode&os.ModeSymlink != 0:
		return v1.FileType_FILE_TYPE_SYMLINK
	default:
		return v1.FileType_FILE_TYPE_OTHER
	}
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
