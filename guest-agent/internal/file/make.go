package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/status"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxTarget = 4095
	// Between two looks at whether somebody still wants the copy.
	copyStep = 4 << 20
	// Of 64 random bits each; more of them taken is no accident.
	temporaryTries = 100
)

// CopyFile copies a regular file, whole or not at all.
func (Service) CopyFile(ctx context.Context, request *v1.CopyFileRequest) (*v1.FileInfo, error) {
	source, err := clean(request.GetSource())
	if err != nil {
		return nil, err
	}
	from, err := openRegular(source, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	info, err := statOpen(from, source)
	if err != nil {
		return nil, err
	}
	d, err := newDraft(&v1.WriteFileTarget{Path: request.GetDestination()})
	if err != nil {
		return nil, err
	}
	defer d.discard()
	d.mode = info.GetMode()
	for {
		if ctx.Err() != nil {
			return nil, status.FromContextError(ctx.Err()).Err()
		}
		_, err := io.CopyN(d.file, from, copyStep)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, refusal.OfFile(err, d.path)
		}
	}
	if err := d.publish(); err != nil {
		return nil, err
	}
	return stat(d.path)
}

// openRegular refuses what is no regular file, without waiting for it.
func openRegular(path string, flags int, mode uint32) (*os.File, error) {
	// Without O_NONBLOCK the open of a FIFO would wait for its other end.
	file, err := os.OpenFile(path, flags|unix.O_NONBLOCK, fs.FileMode(mode&0o777))
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		err = refusal.OfFile(err, path)
	case info.IsDir():
		err = refusal.OfFile(unix.EISDIR, path)
	case !info.Mode().IsRegular():
		err = invalid("%s is no regular file", path)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// MakeLink makes one name more for a file, or a file that names another.
func (Service) MakeLink(_ context.Context, request *v1.MakeLinkRequest) (*v1.FileInfo, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	target := request.GetTarget()
	if request.GetSymbolic() {
		if target == "" || len(target) > maxTarget || strings.ContainsRune(target, 0) {
			return nil, invalid("a link's target: expected 1 to %d bytes without NUL", maxTarget)
		}
		err = unix.Symlink(target, path)
	} else {
		if target, err = clean(target); err != nil {
			return nil, err
		}
		if _, err := os.Lstat(target); err != nil {
			return nil, refusal.OfFile(err, target)
		}
		err = unix.Link(target, path)
	}
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	return stat(path)
}

// MakeTemporary makes a file or directory that only the guest's root may use.
func (Service) MakeTemporary(_ context.Context, request *v1.MakeTemporaryRequest) (*v1.FileInfo, error) {
	if request.GetDirectory() == "" {
		request.Directory = "/tmp"
	}
	directory, err := clean(request.GetDirectory())
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(request.GetPrefix()+request.GetSuffix(), "/\x00") {
		return nil, invalid("a prefix or suffix contains '/' or NUL")
	}
	var create func(path string) error
	switch request.GetType() {
	case v1.FileType_FILE_TYPE_DIRECTORY:
		create = func(path string) error { return unix.Mkdir(path, 0o700) }
	case v1.FileType_FILE_TYPE_REGULAR:
		create = func(path string) error {
			file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				err = file.Close()
			}
			return err
		}
	default:
		return nil, refusal.Invalid("type %v: expected FILE_TYPE_REGULAR or FILE_TYPE_DIRECTORY", request.GetType())
	}
	for range temporaryTries {
		name := fmt.Sprintf("%s%016x%s", request.GetPrefix(), rand.Uint64(), request.GetSuffix())
		path := filepath.Join(directory, name)
		if err = create(path); err == nil {
			return stat(path)
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return nil, refusal.OfFile(err, directory)
}

// ResolvePath tells where a path leads.
func (Service) ResolvePath(_ context.Context, request *v1.ResolvePathRequest) (*v1.ResolvePathResponse, error) {
	path, err := clean(request.GetPath())
	if err != nil {
		return nil, err
	}
	resolved, err := resolve(path)
	if err != nil {
		return nil, err
	}
	return &v1.ResolvePathResponse{Path: text(resolved)}, nil
}
