package file

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// WriteFile takes effect as a whole when the request stream ends, or not at all.
func (Service) WriteFile(stream v1.FileService_WriteFileServer) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return refusal.Invalid("the stream ended before its first message")
	}
	if err != nil {
		return err
	}
	target := first.GetTarget()
	if target == nil {
		return refusal.Invalid("the first message must carry target")
	}
	d, err := newDraft(target)
	if err != nil {
		return err
	}
	defer d.discard()
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if message.GetTarget() != nil {
			return refusal.Invalid("target is for the first message only")
		}
		if len(message.GetData()) > maxChunk {
			return refusal.New(v1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
				"data of %d bytes in one message: at most %d are allowed", len(message.GetData()), maxChunk)
		}
		if err := d.write(message.GetData()); err != nil {
			return err
		}
	}
	if err := d.publish(); err != nil {
		return err
	}
	return stream.SendAndClose(&v1.WriteFileResponse{Size: d.size})
}

// draft is a file in the making, beside the one that it will replace.
type draft struct {
	path string // what it becomes
	mode uint32
	file *os.File
	size uint64
}

func newDraft(target *v1.WriteFileTarget) (*draft, error) {
	path, err := clean(target.GetPath())
	if err != nil {
		return nil, err
	}
	mode, err := permissions(target.GetMode(), 0o644)
	if err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return nil, refusal.OfFile(unix.EISDIR, path)
	}
	parent := filepath.Dir(path)
	if target.GetMakeParents() {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return nil, refusal.OfFile(err, path)
		}
	}
	file, err := os.CreateTemp(parent, ".cofferdam-*")
	if err != nil {
		return nil, refusal.OfFile(err, path)
	}
	return &draft{path: path, mode: mode, file: file}, nil
}

func (d *draft) write(data []byte) error {
	count, err := d.file.Write(data)
	d.size += uint64(count)
	if err != nil {
		return refusal.OfFile(err, d.path)
	}
	return nil
}

func (d *draft) publish() error {
	if info, err := os.Lstat(d.path); err == nil {
		// Who owned the file owns it still. Not being allowed to give it away is no reason to fail.
		if system, ok := info.Sys().(*syscall.Stat_t); ok {
			_ = d.file.Chown(int(system.Uid), int(system.Gid))
		}
	}
	if err := unix.Fchmod(int(d.file.Fd()), d.mode); err != nil {
		return refusal.OfFile(err, d.path)
	}
	if err := d.file.Close(); err != nil {
		return refusal.OfFile(err, d.path)
	}
	if err := unix.Rename(d.file.Name(), d.path); err != nil {
		return refusal.OfFile(err, d.path)
	}
	d.file = nil
	return nil
}

// discard removes what was not published.
func (d *draft) discard() {
	if d.file != nil {
		_ = d.file.Close()
		_ = os.Remove(d.file.Name())
	}
}
