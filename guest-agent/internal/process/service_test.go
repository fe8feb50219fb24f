package process

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/reaper"
)

var children = reaper.New()

type agent struct {
	t      *testing.T
	client v1.ProcessServiceClient
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	environment := func() (map[string]string, map[string]string) {
		return map[string]string{"LAYER": "defaults", "ONLY_DEFAULT": "yes"}, map[string]string{"LAYER": "sandbox", "API_KEY": "placeholder"}
	}
	server := grpc.NewServer(grpc.MaxRecvMsgSize(1 << 20))
	v1.RegisterProcessServiceServer(server, NewService(NewTable(children, environment)))
	return &agent{t, v1.NewProcessServiceClient(apitest.Serve(t, server))}
}

// stream is what StartProcess and AttachProcess have in common.
type stream interface {
	Recv() (*v1.ProcessEvent, error)
	CloseSend() error
}

func (a *agent) startIn(ctx context.Context, spec *v1.ProcessSpec) v1.ProcessService_StartProcessClient {
	a.t.Helper()
	s, err := a.client.StartProcess(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	// EOF: the call was refused already; why, Recv tells.
	if err := s.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_Spec{Spec: spec}}); err != nil && !errors.Is(err, io.EOF) {
		a.t.Fatal(err)
	}
	return s
}

func (a *agent) start(spec *v1.ProcessSpec) v1.ProcessService_StartProcessClient {
	a.t.Helper()
	return a.startIn(a.t.Context(), spec)
}

func (a *agent) attach(point *v1.AttachPoint) v1.ProcessService_AttachProcessClient {
	a.t.Helper()
	s, err := a.client.AttachProcess(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	// EOF: the call was refused already; why, Recv tells.
	if err := s.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_Point{Point: point}}); err != nil && !errors.Is(err, io.EOF) {
		a.t.Fatal(err)
	}
	return s
}

func started(t *testing.T, s stream) *v1.ProcessStarted {
	t.Helper()
	event, err := s.Recv()
	if err != nil || event.GetStarted() == nil {
		t.Fatalf("first event %v, %v", event, err)
	}
	return event.GetStarted()
}

type outcome struct {
	stdout, stderr []byte
	exit           *v1.ProcessExited
}

// rest reads to the end and checks that offsets follow one another and that the exit comes last.
func rest(t *testing.T, s stream, stdoutOffset uint64) outcome {
	t.Helper()
	var o outcome
	for {
		event, err := s.Recv()
		if errors.Is(err, io.EOF) {
			if o.exit == nil {
				t.Fatal("the stream ended without an exit")
			}
			return o
		}
		if err != nil {
			t.Fatal(err)
		}
		if o.exit != nil {
			t.Fatalf("an event after the exit: %v", event)
		}
		if chunk := event.GetStdout(); chunk != nil {
			if chunk.GetOffset() != stdoutOffset+uint64(len(o.stdout)) || len(chunk.GetData()) > maxChunk {
				t.Fatalf("chunk of %d bytes at %d after %d", len(chunk.GetData()), chunk.GetOffset(), len(o.stdout))
			}
			o.stdout = append(o.stdout, chunk.GetData()...)
		}
		o.stderr = append(o.stderr, event.GetStderr().GetData()...)
		o.exit = event.GetExited()
	}
}

func shell(script string) *v1.ProcessSpec { return &v1.ProcessSpec{Argv: []string{"sh", "-c", script}} }

func (a *agent) output(spec *v1.ProcessSpec) outcome {
	a.t.Helper()
	s := a.start(spec)
	started(a.t, s)
	return rest(a.t, s, 0)
}

func TestProcessGivesItsOutputsAndItsExitCode(t *testing.T) {
	o := newAgent(t).output(shell("echo out; echo err >&2; exit 7"))
	if string(o.stdout) != "out\n" || string(o.stderr) != "err\n" || o.exit.GetExitCode() != 7 || o.exit.GetSignal() != 0 {
		t.Errorf("%q %q %v", o.stdout, o.stderr, o.exit)
	}
}

func TestSignalReachesTheGroupAndIsTheExit(t *testing.T) {
	a := newAgent(t)
	s := a.start(shell("sleep 600 & echo up; wait"))
	id := started(t, s).GetProcess()
	if _, err := s.Recv(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.client.SignalProcess(t.Context(), &v1.SignalProcessRequest{Process: id, Signal: int32(syscall.SIGTERM)}); err != nil {
		t.Fatal(err)
	}
	if o := rest(t, s, 3); o.exit.GetSignal() != int32(syscall.SIGTERM) || o.exit.GetExitCode() != 0 {
		t.Errorf("exit %v", o.exit)
	}
	_, err := a.client.SignalProcess(t.Context(), &v1.SignalProcessRequest{Process: id, Signal: 15})
	apitest.Refused(t, err, codes.NotFound, "PROCESS_NOT_FOUND")
	for _, signal := range []int32{0, -1, 65} {
		_, err := a.client.SignalProcess(t.Context(), &v1.SignalProcessRequest{Process: id, Signal: signal})
		apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
	}
}

func TestInputIsTakenWholeAndHeldBackByASlowProcess(t *testing.T) {
	a := newAgent(t)
	s := a.start(shell("head -c 1 >/dev/null; cat"))
	started(t, s)
	data := pattern(0, 8<<20)
	go func() {
		for chunk := range bytesOf(data, maxStdin) {
			_ = s.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_Stdin{Stdin: chunk}})
		}
		_ = s.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_CloseStdin{CloseStdin: &v1.CloseStdin{}}})
	}()
	if o := rest(t, s, 0); !bytes.Equal(o.stdout, data[1:]) || o.exit.GetExitCode() != 0 {
		t.Errorf("%d bytes of %d came back, exit %v", len(o.stdout), len(data)-1, o.exit)
	}
}

func bytesOf(data []byte, size int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			count := min(size, len(data))
			if !yield(data[:count]) {
				return
			}
			data = data[count:]
		}
	}
}

func TestEndOfTheRequestStreamLeavesStdinOpen(t *testing.T) {
	a := newAgent(t)
	s := a.start(shell("read line; echo got $line"))
	id := started(t, s).GetProcess()
	if err := s.CloseSend(); err != nil {
		t.Fatal(err)
	}
	other := a.attach(&v1.AttachPoint{Process: id})
	started(t, other)
	if err := other.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_Stdin{Stdin: []byte("it\n")}}); err != nil {
		t.Fatal(err)
	}
	for _, each := range []stream{s, other} {
		if o := rest(t, each, 0); string(o.stdout) != "got it\n" {
			t.Errorf("%q", o.stdout)
		}
	}
}

func TestBrokenStreamLeavesTheProcessAndAttachGoesOnFromAnOffset(t *testing.T) {
	a := newAgent(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := a.startIn(ctx, shell("echo one; read line; echo $line"))
	id := started(t, s).GetProcess()
	if event, err := s.Recv(); err != nil || string(event.GetStdout().GetData()) != "one\n" {
		t.Fatal(event, err)
	}
	cancel()
	again := a.attach(&v1.AttachPoint{Process: id, StdoutOffset: 2})
	started(t, again)
	if err := again.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_Stdin{Stdin: []byte("two\n")}}); err != nil {
		t.Fatal(err)
	}
	if o := rest(t, again, 2); string(o.stdout) != "e\ntwo\n" || o.exit.GetExitCode() != 0 {
		t.Errorf("%q %v", o.stdout, o.exit)
	}
	ended := a.attach(&v1.AttachPoint{Process: id})
	started(t, ended)
	if o := rest(t, ended, 0); string(o.stdout) != "one\ntwo\n" {
		t.Errorf("replay of the ended process: %q", o.stdout)
	}
	future := a.attach(&v1.AttachPoint{Process: id, StdoutOffset: 9})
	_, err := future.Recv()
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
}

func TestOutputThatNobodyReadIsKeptInPart(t *testing.T) {
	a := newAgent(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := a.startIn(ctx, shell("read go; head -c 3000000 /dev/zero; echo end; read go"))
	id := started(t, s).GetProcess()
	cancel()
	_, _ = s.Recv() // With this the stream is gone for the client; the agent follows.
	driver := a.attach(&v1.AttachPoint{Process: id})
	started(t, driver)
	if err := driver.Send(&v1.AttachProcessRequest{Message: &v1.AttachProcessRequest_Stdin{Stdin: []byte("\n\n")}}); err != nil {
		t.Fatal(err)
	}
	if o := rest(t, driver, 0); len(o.stdout) != 3000004 {
		t.Fatalf("%d bytes through an attached reader", len(o.stdout))
	}
	late := a.attach(&v1.AttachPoint{Process: id, StdoutOffset: 3000004 - Kept - 1})
	_, err := late.Recv()
	apitest.Refused(t, err, codes.DataLoss, "OUTPUT_LOST")
	last := a.attach(&v1.AttachPoint{Process: id, StdoutOffset: 3000004 - Kept})
	started(t, last)
	if o := rest(t, last, 3000004-Kept); len(o.stdout) != Kept || !bytes.HasSuffix(o.stdout, []byte("end\n")) {
		t.Errorf("%d bytes", len(o.stdout))
	}
}

func TestSecondStartWithTheSameIDAttaches(t *testing.T) {
	a := newAgent(t)
	spec := shell("echo $$; read line")
	spec.Process = "job.1"
	first := a.start(spec)
	pid := started(t, first).GetPid()
	second := a.start(spec)
	if again := started(t, second); again.GetPid() != pid || again.GetProcess() != "job.1" {
		t.Fatalf("%v, expected pid %d", again, pid)
	}
	if err := second.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_CloseStdin{CloseStdin: &v1.CloseStdin{}}}); err != nil {
		t.Fatal(err)
	}
	if x, y := rest(t, first, 0), rest(t, second, 0); !bytes.Equal(x.stdout, y.stdout) || len(x.stdout) == 0 {
		t.Errorf("%q and %q", x.stdout, y.stdout)
	}
	list, err := a.client.ListProcesses(t.Context(), &v1.ListProcessesRequest{})
	if err != nil || len(list.GetProcesses()) != 1 || list.GetProcesses()[0].GetExited().GetExitCode() != 1 {
		t.Errorf("%v %v", list, err)
	}
}

// A client's last word and the process's end may come at once.
func TestTheInputOfAProcessThatHasEndedIsClosedWithoutAnError(t *testing.T) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	input := newInput(theirs, false)
	input.release()
	if err := input.CloseWrite(t.Context()); err != nil {
		t.Error(err)
	}
	if err := input.Write(t.Context(), []byte("late")); !errors.Is(err, errInputClosed) {
		t.Error(err)
	}
}

func TestTerminal(t *testing.T) {
	a := newAgent(t)
	spec := shell("stty size; read line; stty size; tty; echo $TERM; read more || echo eof")
	spec.Terminal = &v1.TerminalSize{Rows: 24, Columns: 80}
	s := a.start(spec)
	started(t, s)
	first, err := s.Recv()
	if err != nil || string(first.GetStdout().GetData()) != "24 80\r\n" {
		t.Fatal(first, err)
	}
	for _, message := range []*v1.StartProcessRequest{
		{Message: &v1.StartProcessRequest_Resize{Resize: &v1.TerminalSize{Rows: 50, Columns: 132}}},
		{Message: &v1.StartProcessRequest_Stdin{Stdin: []byte("\n")}},
		{Message: &v1.StartProcessRequest_CloseStdin{CloseStdin: &v1.CloseStdin{}}},
	} {
		if err := s.Send(message); err != nil {
			t.Fatal(err)
		}
	}
	o := rest(t, s, 7)
	for _, expected := range []string{"50 132\r\n", "/dev/pts/", "xterm-256color", "eof"} {
		if !strings.Contains(string(o.stdout), expected) {
			t.Errorf("%q lacks %q", o.stdout, expected)
		}
	}
}

func TestExitDoesNotWaitForChildrenInTheBackgroundNorKillThem(t *testing.T) {
	a := newAgent(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// The child outlives its parent, then writes to the inherited stdout, and tells that it survived that.
	o := a.output(shell("(read go < " + fifo + "; echo late; echo alive > " + fifo + ") & echo now"))
	if string(o.stdout) != "now\n" || o.exit.GetExitCode() != 0 {
		t.Fatalf("%q %v", o.stdout, o.exit)
	}
	if err := os.WriteFile(fifo, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	if answer, err := os.ReadFile(fifo); string(answer) != "alive\n" {
		t.Errorf("%q %v", answer, err)
	}
}

func TestEnvironmentIsLayered(t *testing.T) {
	a := newAgent(t)
	spec := shell("echo $LAYER $ONLY_DEFAULT $API_KEY $OWN; env -i true; echo $PATH")
	spec.Env = map[string]string{"OWN": "mine"}
	if o := a.output(spec); string(o.stdout) != "sandbox yes placeholder mine\n"+searchPath+"\n" {
		t.Errorf("%q", o.stdout)
	}
	spec.Env["LAYER"] = "own"
	if o := a.output(spec); !strings.HasPrefix(string(o.stdout), "own yes") {
		t.Errorf("%q", o.stdout)
	}
}

func TestEndedProcessesAreForgottenAfterTheLast256(t *testing.T) {
	a := newAgent(t)
	for range keptEnded + 4 {
		a.output(&v1.ProcessSpec{Argv: []string{"true"}})
	}
	// The last one may be retired just after its exit was sent.
	list, err := a.client.ListProcesses(t.Context(), &v1.ListProcessesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if count := len(list.GetProcesses()); count < keptEnded || count > keptEnded+1 {
		t.Errorf("%d processes are known", count)
	}
}

func TestBadRequestsAreRefusedPrecisely(t *testing.T) {
	a := newAgent(t)
	directory := t.TempDir()
	plain := filepath.Join(directory, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(directory, "garbage")
	if err := os.WriteFile(garbage, []byte("\x01\x02"), 0o755); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxArgumentBytes)
	for name, c := range map[string]struct {
		spec   *v1.ProcessSpec
		code   codes.Code
		reason string
	}{
		"no program":          {&v1.ProcessSpec{}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"empty program":       {&v1.ProcessSpec{Argv: []string{""}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"NUL in argument":     {&v1.ProcessSpec{Argv: []string{"true", "a\x00b"}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"many arguments":      {&v1.ProcessSpec{Argv: make([]string, maxArguments+1)}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"long arguments":      {&v1.ProcessSpec{Argv: []string{"true", long}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"bad id":              {&v1.ProcessSpec{Argv: []string{"true"}, Process: "a/b"}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"unknown command":     {&v1.ProcessSpec{Argv: []string{"no-such-command"}}, codes.NotFound, "COMMAND_NOT_FOUND"},
		"unknown path":        {&v1.ProcessSpec{Argv: []string{"/no/such"}}, codes.NotFound, "COMMAND_NOT_FOUND"},
		"not executable":      {&v1.ProcessSpec{Argv: []string{plain}}, codes.PermissionDenied, "PERMISSION_DENIED_IN_GUEST"},
		"no program's format": {&v1.ProcessSpec{Argv: []string{garbage}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"relative directory":  {&v1.ProcessSpec{Argv: []string{"true"}, WorkingDirectory: "x"}, codes.InvalidArgument, "PATH_INVALID"},
		"missing directory":   {&v1.ProcessSpec{Argv: []string{"true"}, WorkingDirectory: "/no/such"}, codes.NotFound, "FILE_NOT_FOUND"},
		"file as directory":   {&v1.ProcessSpec{Argv: []string{"true"}, WorkingDirectory: plain}, codes.FailedPrecondition, "NOT_A_DIRECTORY"},
		"unknown user":        {&v1.ProcessSpec{Argv: []string{"true"}, User: "no-such-user"}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"bad variable":        {&v1.ProcessSpec{Argv: []string{"true"}, Env: map[string]string{"A=B": ""}}, codes.InvalidArgument, "ENVIRONMENT_INVALID"},
		"NUL in variable":     {&v1.ProcessSpec{Argv: []string{"true"}, Env: map[string]string{"A": "\x00"}}, codes.InvalidArgument, "ENVIRONMENT_INVALID"},
		"huge terminal":       {&v1.ProcessSpec{Argv: []string{"true"}, Terminal: &v1.TerminalSize{Rows: 1 << 16}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := a.start(c.spec).Recv()
			apitest.Refused(t, err, c.code, c.reason)
		})
	}
	list, err := a.client.ListProcesses(t.Context(), &v1.ListProcessesRequest{})
	if err != nil || len(list.GetProcesses()) != 0 {
		t.Errorf("refused starts left %v %v", list, err)
	}
	_, err = a.attach(&v1.AttachPoint{Process: "unknown"}).Recv()
	apitest.Refused(t, err, codes.NotFound, "PROCESS_NOT_FOUND")
}

func TestBadMessagesEndTheStreamButNotTheProcess(t *testing.T) {
	a := newAgent(t)
	for name, c := range map[string]struct {
		messages []*v1.StartProcessRequest
		code     codes.Code
		reason   string
	}{
		"a second spec": {[]*v1.StartProcessRequest{{Message: &v1.StartProcessRequest_Spec{Spec: shell("true")}}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"resize of pipes": {[]*v1.StartProcessRequest{{Message: &v1.StartProcessRequest_Resize{Resize: &v1.TerminalSize{}}}},
			codes.InvalidArgument, "INVALID_ARGUMENT"},
		"large stdin": {[]*v1.StartProcessRequest{{Message: &v1.StartProcessRequest_Stdin{Stdin: make([]byte, maxStdin+1)}}},
			codes.ResourceExhausted, "MESSAGE_TOO_LARGE"},
		"stdin after its end": {[]*v1.StartProcessRequest{
			{Message: &v1.StartProcessRequest_CloseStdin{CloseStdin: &v1.CloseStdin{}}},
			{Message: &v1.StartProcessRequest_Stdin{Stdin: []byte("x")}},
		}, codes.InvalidArgument, "INVALID_ARGUMENT"},
	} {
		t.Run(name, func(t *testing.T) {
			s := a.start(&v1.ProcessSpec{Argv: []string{"sleep", "600"}})
			id := started(t, s).GetProcess()
			for _, message := range c.messages {
				_ = s.Send(message)
			}
			_, err := s.Recv()
			apitest.Refused(t, err, c.code, c.reason)
			if _, err := a.client.SignalProcess(t.Context(), &v1.SignalProcessRequest{Process: id, Signal: 9}); err != nil {
				t.Errorf("the process is gone: %v", err)
			}
		})
	}
	s, err := a.client.StartProcess(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.CloseSend()
	_, err = s.Recv()
	apitest.Refused(t, err, codes.InvalidArgument, "INVALID_ARGUMENT")
}

func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	spec := shell("id -un; id -u; echo $HOME $USER; pwd")
	spec.User = "nobody"
	if o := newAgent(t).output(spec); !strings.HasPrefix(string(o.stdout), "nobody\n65534\n/nonexistent nobody\n/\n") {
		t.Errorf("%q %q", o.stdout, o.stderr)
	}
}
