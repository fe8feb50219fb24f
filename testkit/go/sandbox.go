package ninechecks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"cofferdam.dev/testkit/go/gen/cofferdamv1"
)

type sandbox struct {
	mesh   *mesh
	record *cofferdamv1.Sandbox
}

type completed struct {
	exitCode, signal int32
	stdout, stderr   string
}

// process is an open stream to a running process.
type process struct {
	stream         cofferdamv1.ProcessService_StartProcessClient
	id             string
	pid            int32
	stdout, stderr bytes.Buffer
	ended          *cofferdamv1.ProcessExited
}

func (s *sandbox) id() string { return s.record.GetId() }

func (s *sandbox) delete(ctx context.Context) error {
	_, err := s.mesh.sandboxes.DeleteSandbox(ctx, &cofferdamv1.DeleteSandboxRequest{Sandbox: s.id()})
	return err
}

// start returns once the process runs.
func (s *sandbox) start(ctx context.Context, argv ...string) (*process, error) {
	stream, err := s.mesh.processes.StartProcess(ctx)
	if err != nil {
		return nil, err
	}
	for _, message := range []*cofferdamv1.StartProcessRequest{
		{Sandbox: s.id(), Message: &cofferdamv1.StartProcessRequest_Spec{Spec: &cofferdamv1.ProcessSpec{Argv: argv}}},
		{Message: &cofferdamv1.StartProcessRequest_CloseStdin{CloseStdin: &cofferdamv1.CloseStdin{}}},
	} {
		// The reason of a refusal comes with the first event, not here.
		if err := stream.Send(message); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	started := &process{stream: stream}
	for started.id == "" {
		if err := started.next(); err != nil {
			return nil, err
		}
	}
	return started, nil
}

func (p *process) next() error {
	event, err := p.stream.Recv()
	if err != nil {
		return err
	}
	switch e := event.Event.(type) {
	case *cofferdamv1.ProcessEvent_Started:
		p.id, p.pid = e.Started.Process, e.Started.Pid
	case *cofferdamv1.ProcessEvent_Stdout:
		return collect(&p.stdout, e.Stdout)
	case *cofferdamv1.ProcessEvent_Stderr:
		return collect(&p.stderr, e.Stderr)
	case *cofferdamv1.ProcessEvent_Exited:
		p.ended = e.Exited
	}
	return nil
}

func collect(output *bytes.Buffer, chunk *cofferdamv1.OutputChunk) error {
	if chunk.Offset != uint64(output.Len()) {
		return fmt.Errorf("a chunk at offset %d, expected %d", chunk.Offset, output.Len())
	}
	output.Write(chunk.Data)
	return nil
}

func (p *process) wait() (completed, error) {
	for {
		err := p.next()
		if errors.Is(err, io.EOF) && p.ended != nil {
			return completed{p.ended.ExitCode, p.ended.Signal, p.stdout.String(), p.stderr.String()}, nil
		}
		if err != nil {
			return completed{}, err
		}
	}
}

func (s *sandbox) run(ctx context.Context, argv ...string) (completed, error) {
	started, err := s.start(ctx, argv...)
	if err != nil {
		return completed{}, err
	}
	return started.wait()
}

// output is of a shell script that must succeed, without surrounding white space.
func (s *sandbox) output(ctx context.Context, script string) (string, error) {
	done, err := s.run(ctx, "sh", "-c", script)
	if err != nil {
		return "", err
	}
	if done.exitCode != 0 || done.signal != 0 {
		return "", fmt.Errorf("%s: %+v", script, done)
	}
	return strings.TrimSpace(done.stdout), nil
}

// answer has status 0 where curl got none.
type answer struct {
	status int
	reason string
	body   string
}

// curl sends a request from inside. Options are words of the guest's shell, so "$API_KEY" in them is expanded there.
func (s *sandbox) curl(ctx context.Context, url string, options string) (answer, error) {
	done, err := s.run(ctx, "sh", "-c", fmt.Sprintf(
		"curl -s --max-time 30 -o /tmp/body -w '%%{http_code} %%header{cofferdam-reason}\\n' %s '%s'; touch /tmp/body; cat /tmp/body; rm /tmp/body",
		options, url))
	if err != nil {
		return answer{}, err
	}
	line, body, _ := strings.Cut(done.stdout, "\n")
	code, reason, _ := strings.Cut(line, " ")
	number, err := strconv.Atoi(code)
	if err != nil {
		return answer{}, fmt.Errorf("curl printed %q: %+v", line, done)
	}
	return answer{number, strings.TrimSpace(reason), body}, nil
}
