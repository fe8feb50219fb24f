package file

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const maxReadFully = 16 << 20

// Nothing interrupts a thread in flock(2), so that a lock which somebody has is asked for again and again.
const lockInterval = 20 * time.Millisecond

// OpenFile keeps one file open and does as it is told, one thing after the other.
func (Service) OpenFile(stream v1.FileService_OpenFileServer) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return refusal.Invalid("the stream ended before its first message")
	}
	if err != nil {
		return err
	}
	if first.GetTarget() == nil {
		return refusal.Invalid("the first message must carry target")
	}
	o, err := open(first.GetTarget())
	if err != nil {
		return err
	}
	defer o.file.Close()
	// A read of /proc/kmsg and its like waits for news; the end of the stream must end it.
	defer context.AfterFunc(stream.Context(), func() { o.file.Close() })()
	o.send = stream.Send
	answer, err := o.info()
	for {
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
		message, received := stream.Recv()
		if errors.Is(received, io.EOF) {
			return nil
		}
		if received != nil {
			return received
		}
		answer, err = o.answer(stream.Context(), message)
	}
}

type opened struct {
	path   string
	file   *os.File
	reads  bool
	writes bool
	// For an answer that is not the last one.
	send func(*v1.OpenFileResponse) error
	// Of what was read, until it is sent.
	buffer []byte
}

func open(target *v1.OpenFileTarget) (*opened, error) {
	path, err := clean(target.GetPath())
	if err != nil {
		return nil, err
	}
	mode, err := permissions(target.GetMode(), 0o644)
	if err != nil {
		return nil, err
	}
	writes := target.GetWrite() || target.GetAppend()
	var flags int
	switch {
	case target.GetRead() && writes:
		flags = os.O_RDWR
	case writes:
		flags = os.O_WRONLY
	case target.GetRead():
		flags = os.O_RDONLY
	default:
		return nil, refusal.Invalid("a file is opened to read, to write or to append")
	}
	if !writes && (target.GetTruncate() || target.GetCreate() || target.GetCreateNew()) {
		return nil, refusal.Invalid("truncate, create and create_new need write or append")
	}
	if target.GetAppend() && target.GetTruncate() {
		return nil, refusal.Invalid("append and truncate exclude each other")
	}
	for flag, wanted := range map[int]bool{
		os.O_APPEND:             target.GetAppend(),
		os.O_TRUNC:              target.GetTruncate() && !target.GetCreateNew(),
		os.O_CREATE:             target.GetCreate(),
		os.O_CREATE | os.O_EXCL: target.GetCreateNew(),
	} {
		if wanted {
			flags |= flag
		}
	}
	_, before := os.Lstat(path)
	file, err := openRegular(path, flags, mode)
	if err != nil {
		return nil, err
	}
	if before != nil && flags&os.O_CREATE != 0 {
		// Whatever the umask.
		if err := withDescriptor(file, func(descriptor int) error { return unix.Fchmod(descriptor, mode) }); err != nil {
			_ = file.Close()
			return nil, refusal.OfFile(err, path)
		}
	}
	return &opened{path: path, file: file, reads: target.GetRead(), writes: writes}, nil
}

// answer fails for what is no operation at all. An operation's own failure is an answer.
func (o *opened) answer(ctx context.Context, message *v1.OpenFileRequest) (*v1.OpenFileResponse, error) {
	response, err := o.do(ctx, message)
	if err == nil {
		return response, nil
	}
	if ctx.Err() != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	told := status.Convert(err)
	for _, detail := range told.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			reason := v1.ErrorReason(v1.ErrorReason_value["ERROR_REASON_"+info.GetReason()])
			return &v1.OpenFileResponse{Answer: &v1.OpenFileResponse_Failure{
				Failure: &v1.FileFailure{Reason: reason, Message: told.Message()},
			}}, nil
		}
	}
	return nil, err
}

func (o *opened) do(ctx context.Context, message *v1.OpenFileRequest) (*v1.OpenFileResponse, error) {
	var err error
	switch m := message.GetMessage().(type) {
	case *v1.OpenFileRequest_Read:
		return o.read(m.Read)
	case *v1.OpenFileRequest_ReadFully:
		return o.readFully(m.ReadFully)
	case *v1.OpenFileRequest_Write:
		return o.write(m.Write)
	case *v1.OpenFileRequest_Seek:
		return o.seek(m.Seek)
	case *v1.OpenFileRequest_Stat:
	case *v1.OpenFileRequest_Truncate:
		if err = o.may(o.writes, "write"); err == nil {
			err = truncate(m.Truncate, o.file.Truncate, o.path)
		}
		if err != nil {
			return nil, err
		}
	case *v1.OpenFileRequest_Sync:
		sync := unix.Fsync
		if m.Sync.GetDataOnly() {
			sync = unix.Fdatasync
		}
		err = withDescriptor(o.file, sync)
	case *v1.OpenFileRequest_Times:
		times, invalid := timesOf(m.Times.GetAccessTime(), m.Times.GetModifyTime())
		if invalid != nil {
			return nil, invalid
		}
		if times != nil {
			err = o.setTimes(times)
		}
	case *v1.OpenFileRequest_Lock:
		how := unix.LOCK_SH
		if m.Lock.GetExclusive() {
			how = unix.LOCK_EX
		}
		err = o.lock(ctx, how)
	case *v1.OpenFileRequest_Unlock:
		err = o.flock(unix.LOCK_UN)
	case *v1.OpenFileRequest_Target:
		return nil, refusal.Invalid("target is for the first message only")
	default:
		return nil, refusal.Invalid("a message without an operation that is known here")
	}
	if err != nil {
		return nil, refusal.OfFile(err, o.path)
	}
	return o.info()
}

func (o *opened) info() (*v1.OpenFileResponse, error) {
	info, err := statOpen(o.file, o.path)
	if err != nil {
		return nil, err
	}
	return &v1.OpenFileResponse{Answer: &v1.OpenFileResponse_File{File: info}}, nil
}

func (o *opened) may(so bool, what string) error {
	if so {
		return nil
	}
	return refusal.New(v1.ErrorReason_ERROR_REASON_PERMISSION_DENIED_IN_GUEST, "%s was not opened to %s", o.path, what)
}

func (o *opened) read(length uint32) (*v1.OpenFileResponse, error) {
	if length == 0 || length > maxChunk {
		return nil, refusal.Invalid("a read of %d bytes: expected 1 to %d", length, maxChunk)
	}
	data, err := o.next(length)
	if err != nil {
		return nil, err
	}
	return dataOf(data), nil
}

// readFully sends all that is read but the last part, which it returns.
func (o *opened) readFully(length uint32) (*v1.OpenFileResponse, error) {
	if length == 0 || length > maxReadFully {
		return nil, refusal.Invalid("a read of %d bytes: expected 1 to %d", length, maxReadFully)
	}
	for left := length; ; {
		data, err := o.next(min(left, maxChunk))
		if err != nil {
			return nil, err
		}
		left -= uint32(len(data))
		if len(data) == 0 || left == 0 {
			return dataOf(data), nil
		}
		if err := o.send(dataOf(data)); err != nil {
			return nil, err
		}
	}
}

// next reads up to so many bytes; none at the end. They are there until the next call.
func (o *opened) next(length uint32) ([]byte, error) {
	if err := o.may(o.reads, "read"); err != nil {
		return nil, err
	}
	if uint32(len(o.buffer)) < length {
		o.buffer = make([]byte, length)
	}
	count, err := o.file.Read(o.buffer[:length])
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, refusal.OfFile(err, o.path)
	}
	return o.buffer[:count], nil
}

func dataOf(data []byte) *v1.OpenFileResponse {
	return &v1.OpenFileResponse{Answer: &v1.OpenFileResponse_Data{Data: data}}
}

func (o *opened) write(data []byte) (*v1.OpenFileResponse, error) {
	if len(data) > maxChunk {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
			"data of %d bytes in one message: at most %d are allowed", len(data), maxChunk)
	}
	if err := o.may(o.writes, "write"); err != nil {
		return nil, err
	}
	if _, err := o.file.Write(data); err != nil {
		return nil, refusal.OfFile(err, o.path)
	}
	return o.position(o.file.Seek(0, io.SeekCurrent))
}

func (o *opened) seek(to *v1.FileSeek) (*v1.OpenFileResponse, error) {
	var from int
	switch to.GetOrigin() {
	case v1.SeekOrigin_SEEK_ORIGIN_START:
		from = io.SeekStart
	case v1.SeekOrigin_SEEK_ORIGIN_POSITION:
		from = io.SeekCurrent
	case v1.SeekOrigin_SEEK_ORIGIN_END:
		from = io.SeekEnd
	default:
		return nil, refusal.Invalid("origin %v: expected one that is named", to.GetOrigin())
	}
	return o.position(o.file.Seek(to.GetOffset(), from))
}

func (o *opened) position(position int64, err error) (*v1.OpenFileResponse, error) {
	if err != nil {
		return nil, refusal.OfFile(err, o.path)
	}
	return &v1.OpenFileResponse{Answer: &v1.OpenFileResponse_Position{Position: uint64(position)}}, nil
}

// setTimes names the descriptor through /proc, for utimensat(2) with an empty path is younger than the kernels that are met.
func (o *opened) setTimes(times []unix.Timespec) error {
	return withDescriptor(o.file, func(descriptor int) error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, descriptorPath(descriptor), times, 0)
	})
}

func (o *opened) flock(how int) error {
	return withDescriptor(o.file, func(descriptor int) error { return unix.Flock(descriptor, how) })
}

func (o *opened) lock(ctx context.Context, how int) error {
	again := time.NewTicker(lockInterval)
	defer again.Stop()
	for {
		err := o.flock(how | unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
