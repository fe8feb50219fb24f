// Package process is cofferdam.v1.ProcessService: processes whose life does not depend on a stream's.
//
// Start reading at service.go; Output (output.go) has the one idea of the package: numbered output, kept in part, that
// holds the process back only for readers that are there.
package process

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"google.golang.org/protobuf/types/known/timestamppb"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/reaper"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxStdin = 64 << 10
	maxChunk = 64 << 10
)

// Service answers the API from a table.
type Service struct {
	v1.UnimplementedProcessServiceServer
	table *Table
}

// NewService makes the service.
func NewService(table *Table) *Service { return &Service{table: table} }

// StartProcess starts or finds a process and stays attached.
func (s *Service) StartProcess(stream v1.ProcessService_StartProcessServer) error {
	first, err := stream.Recv()
	if err != nil {
		return firstMissing(err)
	}
	spec := first.GetSpec()
	if spec == nil {
		return refusal.Invalid("the first message must carry spec")
	}
	a, err := s.table.start(stream.Context(), spec)
	if err != nil {
		return err
	}
	return serve(stream.Context(), a, stream.Send, func() (control, error) {
		m, err := stream.Recv()
		return control{m.GetStdin(), m.GetCloseStdin() != nil, m.GetResize(), m.GetSpec() != nil}, err
	})
}

// AttachProcess attaches to a known process.
func (s *Service) AttachProcess(stream v1.ProcessService_AttachProcessServer) error {
	first, err := stream.Recv()
	if err != nil {
		return firstMissing(err)
	}
	point := first.GetPoint()
	if point == nil {
		return refusal.Invalid("the first message must carry point")
	}
	p, err := s.table.find(point.GetProcess())
	if err != nil {
		return err
	}
	a, err := attach(p, point.GetStdoutOffset(), point.GetStderrOffset())
	if err != nil {
		return err
	}
	return serve(stream.Context(), a, stream.Send, func() (control, error) {
		m, err := stream.Recv()
		return control{m.GetStdin(), m.GetCloseStdin() != nil, m.GetResize(), m.GetPoint() != nil}, err
	})
}

// SignalProcess signals the process's group.
func (s *Service) SignalProcess(_ context.Context, request *v1.SignalProcessRequest) (*v1.SignalProcessResponse, error) {
	if request.GetSignal() < 1 || request.GetSignal() > 64 {
		return nil, refusal.Invalid("signal %d: expected 1 to 64", request.GetSignal())
	}
	p, err := s.table.find(request.GetProcess())
	if err != nil {
		return nil, err
	}
	err = p.child.SignalGroup(syscall.Signal(request.GetSignal()))
	if errors.Is(err, reaper.ErrEnded) {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_PROCESS_NOT_FOUND, "process %q has ended", p.id)
	}
	if err != nil {
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "signal %d: %v", request.GetSignal(), err)
	}
	return &v1.SignalProcessResponse{}, nil
}

// ListProcesses lists in the order of start. Arguments are cut so that the answer stays within the 1 MiB that is relayed.
func (s *Service) ListProcesses(context.Context, *v1.ListProcessesRequest) (*v1.ListProcessesResponse, error) {
	response := &v1.ListProcessesResponse{}
	for _, p := range s.table.list() {
		response.Processes = append(response.Processes, &v1.ProcessInfo{
			Process: p.id, Pid: int32(p.child.Pid()), Argv: shorten(p.argv), StartTime: timestamppb.New(p.started), Exited: p.exited(),
		})
	}
	return response, nil
}

// control is what a client may send after the first message, whichever call it is.
type control struct {
	stdin  []byte
	close  bool
	resize *v1.TerminalSize
	first  bool
}

// serve moves events out and control in until the process has ended or the stream has. The process itself stays.
func serve(parent context.Context, a *attachment, send func(*v1.ProcessEvent) error, receive func() (control, error)) error {
	defer a.close()
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	p := a.process
	started := &v1.ProcessStarted{Process: p.id, Pid: int32(p.child.Pid())}
	if err := send(&v1.ProcessEvent{Event: &v1.ProcessEvent_Started{Started: started}}); err != nil {
		return err
	}
	go func() {
		if err := obey(ctx, p, receive); err != nil {
			cancel(err)
		}
	}()
	var sending sync.Mutex // A stream takes one sender at a time.
	exclusively := func(event *v1.ProcessEvent) error {
		sending.Lock()
		defer sending.Unlock()
		return send(event)
	}
	var outputs sync.WaitGroup
	deliver := func(r *Reader, event func(*v1.OutputChunk) *v1.ProcessEvent) {
		outputs.Go(func() {
			if err := forward(ctx, r, func(c *v1.OutputChunk) error { return exclusively(event(c)) }); err != nil {
				cancel(err)
			}
		})
	}
	deliver(a.stdout, func(c *v1.OutputChunk) *v1.ProcessEvent {
		return &v1.ProcessEvent{Event: &v1.ProcessEvent_Stdout{Stdout: c}}
	})
	deliver(a.stderr, func(c *v1.OutputChunk) *v1.ProcessEvent {
		return &v1.ProcessEvent{Event: &v1.ProcessEvent_Stderr{Stderr: c}}
	})
	outputs.Wait()
	select {
	case <-p.done:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return send(&v1.ProcessEvent{Event: &v1.ProcessEvent_Exited{Exited: p.exited()}})
}

// forward sends an output until its end.
func forward(ctx context.Context, r *Reader, send func(*v1.OutputChunk) error) error {
	buffer := borrow()
	defer giveBack(buffer)
	for {
		offset, count, err := r.Next(ctx, buffer[:])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		// Sent bytes are encoded before send returns, so the buffer is free again.
		if err := send(&v1.OutputChunk{Offset: offset, Data: buffer[:count]}); err != nil {
			return err
		}
	}
}

// obey does what the client asks until it has nothing more to say, which is no reason to end the stream.
func obey(ctx context.Context, p *Process, receive func() (control, error)) error {
	for {
		message, err := receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case message.first:
			return refusal.Invalid("spec and point are for the first message only")
		case message.close:
			err = p.stdin.CloseWrite(ctx)
		case message.resize != nil:
			err = p.resize(message.resize)
		case len(message.stdin) > maxStdin:
			return refusal.New(v1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
				"stdin of %d bytes in one message: at most %d are allowed", len(message.stdin), maxStdin)
		default:
			err = p.stdin.Write(ctx, message.stdin)
		}
		if errors.Is(err, errInputClosed) {
			return refusal.Invalid("stdin after close_stdin")
		}
		if err != nil {
			return err
		}
	}
}

func (p *Process) resize(size *v1.TerminalSize) error {
	if p.terminal == nil {
		return refusal.Invalid("process %q has no terminal to resize", p.id)
	}
	if err := checkTerminal(size); err != nil {
		return err
	}
	// Of a terminal that is gone nobody sees the size.
	_ = resize(p.terminal, size)
	return nil
}

func firstMissing(err error) error {
	if errors.Is(err, io.EOF) {
		return refusal.Invalid("the stream ended before its first message")
	}
	return err
}

// Of the at most maxRunning + keptEnded processes each.
const (
	shownArgumentBytes = 1 << 10
	argumentOverhead   = 2 // a tag and a length
)

func shorten(argv []string) []string {
	total := 0
	for n, argument := range argv {
		if total += len(argument) + argumentOverhead; total > shownArgumentBytes {
			return append(append([]string{}, argv[:n]...), "…")
		}
	}
	return argv
}
