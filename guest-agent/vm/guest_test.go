//go:build vm

package vm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/gen/guestv1"
)

// run keeps its thread for good: a thread that was unshared must not serve other goroutines, and ends with this one.
func (s *slot) run() {
	runtime.LockOSThread()
	for work := range s.work {
		work()
	}
}

// guest is the agent as its host sees it.
type guest struct {
	t          *testing.T
	connection *grpc.ClientConn
	token      string
}

func connect(t *testing.T, s *slot) *guest {
	t.Helper()
	dial := func(ctx context.Context, address string) (connection net.Conn, err error) {
		s.do(func() {
			connection, err = (&net.Dialer{Timeout: 200 * time.Millisecond}).DialContext(ctx, "tcp4", address)
		})
		return connection, err
	}
	// The first answer is what is waited for, so the socket is tried without gRPC's pauses between.
	for deadline := time.Now().Add(time.Minute); ; {
		connection, err := dial(t.Context(), "169.254.0.21:1024")
		if err == nil {
			connection.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent never answered: %v", err)
		}
	}
	connection, err := grpc.NewClient("passthrough:///169.254.0.21:1024",
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return &guest{t: t, connection: connection}
}

func (g *guest) context() context.Context {
	ctx, cancel := context.WithTimeout(g.t.Context(), time.Minute)
	g.t.Cleanup(cancel)
	if g.token == "" {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+g.token)
}

func (g *guest) configure(hostname, ca string, env map[string]string, volumes ...string) string {
	g.t.Helper()
	entropy, id := make([]byte, 64), make([]byte, 16)
	_, _ = rand.Read(entropy)
	_, _ = rand.Read(id)
	token := rand.Text() + rand.Text()
	response, err := guestv1.NewGuestServiceClient(g.connection).Configure(g.context(), &guestv1.ConfigureRequest{
		Entropy: entropy, TimeNs: time.Now().UnixNano(), Hostname: hostname, MachineId: hex.EncodeToString(id),
		Token: token, Env: env, CaCertificate: ca, Volumes: volumes,
	})
	if err != nil {
		g.t.Fatal(err)
	}
	g.token = token
	return response.GetBootId()
}

type result struct {
	stdout, stderr string
	exit           *v1.ProcessExited
	took           time.Duration
}

func (g *guest) start(spec *v1.ProcessSpec) (v1.ProcessService_StartProcessClient, error) {
	stream, err := v1.NewProcessServiceClient(g.connection).StartProcess(g.context())
	if err != nil {
		return nil, err
	}
	return stream, stream.Send(&v1.StartProcessRequest{Message: &v1.StartProcessRequest_Spec{Spec: spec}})
}

func (g *guest) try(argv ...string) (result, error) { return g.follow(&v1.ProcessSpec{Argv: argv}) }

func (g *guest) follow(spec *v1.ProcessSpec) (result, error) {
	begin := time.Now()
	stream, err := g.start(spec)
	if err != nil {
		return result{}, err
	}
	var r result
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.stdout += string(event.GetStdout().GetData())
		r.stderr += string(event.GetStderr().GetData())
		if exit := event.GetExited(); exit != nil {
			r.exit, r.took = exit, time.Since(begin)
		}
	}
}

// run fails the test unless the process exits with 0.
func (g *guest) run(argv ...string) result {
	g.t.Helper()
	return g.finish(&v1.ProcessSpec{Argv: argv})
}

func (g *guest) finish(spec *v1.ProcessSpec) result {
	g.t.Helper()
	r, err := g.follow(spec)
	if err != nil {
		g.t.Fatalf("%v: %v", spec, err)
	}
	if r.exit.GetExitCode() != 0 || r.exit.GetSignal() != 0 {
		g.t.Fatalf("%v: %v\n%s%s", spec, r.exit, r.stdout, r.stderr)
	}
	return r
}

func (g *guest) write(path, content string) {
	g.t.Helper()
	stream, err := v1.NewFileServiceClient(g.connection).WriteFile(g.context())
	if err != nil {
		g.t.Fatal(err)
	}
	target := &v1.WriteFileRequest_Target{Target: &v1.WriteFileTarget{Path: path, MakeParents: true}}
	_ = stream.Send(&v1.WriteFileRequest{Message: target})
	_ = stream.Send(&v1.WriteFileRequest{Message: &v1.WriteFileRequest_Data{Data: []byte(content)}})
	if _, err := stream.CloseAndRecv(); err != nil {
		g.t.Fatal(err)
	}
}
