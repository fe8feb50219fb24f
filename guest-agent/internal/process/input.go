package process

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

var errInputClosed = errors.New("stdin was closed")

// Input is a process's stdin: a pipe, or the terminal. A full pipe blocks the writer. Safe for concurrent use; writes
// of several attachments do not mix within one message.
type Input struct {
	file     *os.File
	terminal bool
	turn     chan struct{}
	closed   atomic.Bool
}

func newInput(file *os.File, terminal bool) *Input {
	return &Input{file: file, terminal: terminal, turn: make(chan struct{}, 1)}
}

// Write blocks until the process has room or the context ends. What a process that has closed its end or has ended
// does not read is dropped: that it ended is told by its exit.
func (i *Input) Write(ctx context.Context, data []byte) error {
	select {
	case i.turn <- struct{}{}:
		defer func() { <-i.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if i.closed.Load() {
		return errInputClosed
	}
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(interrupted)
		_ = i.file.SetWriteDeadline(time.Unix(1, 0))
	})
	_, err := i.file.Write(data)
	if !stop() {
		// The next attachment must not inherit the deadline.
		<-interrupted
		_ = i.file.SetWriteDeadline(time.Time{})
	}
	switch {
	case err == nil, errors.Is(err, unix.EPIPE), errors.Is(err, unix.EIO), errors.Is(err, os.ErrClosed):
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ctx.Err()
	default:
		return err
	}
}

// CloseWrite ends the process's input. A terminal stays open, as its output goes through the same file: it gets the
// end-of-file character instead.
func (i *Input) CloseWrite(ctx context.Context) error {
	if i.terminal {
		return i.Write(ctx, []byte{4}) // VEOF, as the kernel sets up a new terminal (asm-generic/termbits.h).
	}
	if !i.closed.CompareAndSwap(false, true) {
		return nil
	}
	if err := i.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil // By release: the process has ended, which its exit tells.
}

// release frees the pipe once the process has ended.
func (i *Input) release() {
	if !i.terminal {
		_ = i.file.Close()
	}
}
