package port

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

type stream = v1.PortService_ForwardClient

func newClient(t *testing.T) v1.PortServiceClient {
	t.Helper()
	server := grpc.NewServer()
	v1.RegisterPortServiceServer(server, Service{})
	return v1.NewPortServiceClient(apitest.Serve(t, server))
}

// listen serves one connection at a loopback address with the function and returns the port.
func listen(t *testing.T, address string, serve func(*net.TCPConn)) uint32 {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if connection, err := listener.Accept(); err == nil {
			serve(connection.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-served
	})
	return uint32(listener.Addr().(*net.TCPAddr).Port)
}

func open(ctx context.Context, t *testing.T, port uint32) stream {
	t.Helper()
	s, err := newClient(t).Forward(ctx)
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Send(&v1.ForwardRequest{Sandbox: "sb-a", Message: &v1.ForwardRequest_Port{Port: port}})
	return s
}

// connect is open for a port that somebody listens on.
func connect(ctx context.Context, t *testing.T, port uint32) stream {
	t.Helper()
	s := open(ctx, t, port)
	first, err := s.Recv()
	if err != nil || len(first.GetData()) != 0 || first.GetEnd() {
		t.Fatalf("%v, %v: expected an empty first answer", first, err)
	}
	return s
}

func send(s stream, data []byte) {
	_ = s.Send(&v1.ForwardRequest{Message: &v1.ForwardRequest_Data{Data: data}})
}

// untilEnd is all that the guest sends, up to the end of its direction.
func untilEnd(t *testing.T, s stream) []byte {
	t.Helper()
	var data []byte
	for {
		m, err := s.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if len(m.GetData()) > maxChunk || m.GetEnd() && len(m.GetData()) > 0 {
			t.Fatalf("a message of %d bytes, end %v", len(m.GetData()), m.GetEnd())
		}
		data = append(data, m.GetData()...)
		if m.GetEnd() {
			return data
		}
	}
}

func closed(t *testing.T, s stream) {
	t.Helper()
	if m, err := s.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("%v, %v: expected the end", m, err)
	}
}

func TestTheClientMayEndFirst(t *testing.T) {
	s := connect(t.Context(), t, listen(t, "127.0.0.1", func(c *net.TCPConn) {
		defer c.Close()
		// Answers only what it has read to the end.
		data, _ := io.ReadAll(c)
		_, _ = c.Write(bytes.ToUpper(data))
	}))
	send(s, []byte("every "))
	send(s, nil)
	send(s, []byte("byte"))
	_ = s.CloseSend()
	if data := untilEnd(t, s); string(data) != "EVERY BYTE" {
		t.Errorf("%q", data)
	}
	closed(t, s)
}

func TestTheGuestMayEndFirst(t *testing.T) {
	const size = 2 * maxChunk // Fits into the kernel's buffers.
	over, got := make(chan struct{}), make(chan int, 1)
	s := connect(t.Context(), t, listen(t, "127.0.0.1", func(c *net.TCPConn) {
		defer c.Close()
		_, _ = c.Write([]byte("bye"))
		_ = c.CloseWrite()
		<-over // What was sent outlives the stream.
		data, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		got <- len(data)
	}))
	if data := untilEnd(t, s); string(data) != "bye" {
		t.Errorf("%q", data)
	}
	for range size / maxChunk {
		send(s, make([]byte, maxChunk))
	}
	_ = s.CloseSend()
	closed(t, s)
	close(over)
	if count := <-got; count != size {
		t.Errorf("%d bytes arrived of %d that were sent before an orderly end", count, size)
	}
}

func TestTheOtherLoopbackAddressIsTriedToo(t *testing.T) {
	s := connect(t.Context(), t, listen(t, "::1", func(c *net.TCPConn) {
		defer c.Close()
		_, _ = c.Write([]byte("six"))
	}))
	if data := untilEnd(t, s); string(data) != "six" {
		t.Errorf("%q", data)
	}
}

func TestAPortThatNobodyListensOn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint32(listener.Addr().(*net.TCPAddr).Port)
	listener.Close()
	_, err = open(t.Context(), t, port).Recv()
	apitest.Refused(t, err, codes.FailedPrecondition, "PORT_CLOSED")
}

// An attacker asks for what listens on the guest's other addresses, such as the agent itself or, if the guest had one, a way
// to its network.
func TestNoAddressButLoopbackIsReached(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		network := address.(*net.IPNet)
		if network.IP.IsLoopback() || network.IP.To4() == nil {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(network.IP.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = open(t.Context(), t, uint32(listener.Addr().(*net.TCPAddr).Port)).Recv()
		apitest.Refused(t, err, codes.FailedPrecondition, "PORT_CLOSED")
		listener.Close()
	}
}

func TestRefusals(t *testing.T) {
	echo := func(c *net.TCPConn) {
		_, _ = io.Copy(c, c)
		c.Close()
	}
	data := func(size int) *v1.ForwardRequest {
		return &v1.ForwardRequest{Message: &v1.ForwardRequest_Data{Data: make([]byte, size)}}
	}
	port := func(number uint32) *v1.ForwardRequest {
		return &v1.ForwardRequest{Message: &v1.ForwardRequest_Port{Port: number}}
	}
	for name, test := range map[string]struct {
		messages []*v1.ForwardRequest
		code     codes.Code
		reason   string
	}{
		"nothing":           {nil, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"no port":           {[]*v1.ForwardRequest{{Sandbox: "sb-a"}}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"data first":        {[]*v1.ForwardRequest{data(1)}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"port 0":            {[]*v1.ForwardRequest{port(0)}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"no 16 bits":        {[]*v1.ForwardRequest{port(65536 + 80)}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"the agent's":       {[]*v1.ForwardRequest{port(Own)}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"another port":      {[]*v1.ForwardRequest{port(listen(t, "127.0.0.1", echo)), port(80)}, codes.InvalidArgument, "INVALID_ARGUMENT"},
		"too large a chunk": {[]*v1.ForwardRequest{port(listen(t, "127.0.0.1", echo)), data(maxChunk + 1)}, codes.ResourceExhausted, "MESSAGE_TOO_LARGE"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := newClient(t).Forward(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, message := range test.messages {
				_ = s.Send(message)
			}
			if test.messages == nil {
				_ = s.CloseSend()
			}
			for err == nil {
				_, err = s.Recv()
			}
			apitest.Refused(t, err, test.code, test.reason)
		})
	}
}

func TestAConnectionThatTheGuestBreaksOff(t *testing.T) {
	s := connect(t.Context(), t, listen(t, "127.0.0.1", func(c *net.TCPConn) {
		_, _ = io.ReadFull(c, make([]byte, 3))
		_ = c.SetLinger(0)
		c.Close()
	}))
	send(s, []byte("now"))
	_, err := s.Recv()
	apitest.Refused(t, err, codes.Aborted, "CONNECTION_RESET")
}

func TestAClientThatLeavesBreaksTheConnectionOff(t *testing.T) {
	seen := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	s := connect(ctx, t, listen(t, "127.0.0.1", func(c *net.TCPConn) {
		defer c.Close()
		_, err := io.ReadAll(c)
		seen <- err
	}))
	send(s, []byte("half of"))
	cancel()
	if err := <-seen; !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v: the guest took a part for the whole", err)
	}
}

// Each writer is held back by a reader that stops, long before all that it has to say is underway; and nothing is lost.
func TestBackPressure(t *testing.T) {
	const total = 64 << 20
	t.Run("from the guest", func(t *testing.T) {
		held := make(chan int, 1)
		s := connect(t.Context(), t, listen(t, "127.0.0.1", func(c *net.TCPConn) {
			defer c.Close()
			held <- writeUntilHeld(c, total)
		}))
		before := <-held
		if before > total/4 {
			t.Errorf("%d bytes went to a client that reads nothing", before)
		}
		if data := untilEnd(t, s); len(data) != before {
			t.Errorf("%d bytes of %d", len(data), before)
		}
	})
	t.Run("to the guest", func(t *testing.T) {
		goOn, got := make(chan struct{}), make(chan int64, 1)
		s := connect(t.Context(), t, listen(t, "127.0.0.1", func(c *net.TCPConn) {
			defer c.Close()
			<-goOn
			count, _ := io.Copy(io.Discard, c)
			got <- count
		}))
		var sent atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range total / maxChunk {
				send(s, make([]byte, maxChunk))
				sent.Add(maxChunk)
			}
			_ = s.CloseSend()
		}()
		for last := int64(-1); last != sent.Load(); {
			last = sent.Load()
			<-time.After(250 * time.Millisecond) // Only decides when it counts as held; a slow machine is held sooner.
		}
		if sent.Load() > total/4 {
			t.Errorf("%d bytes went to a guest that reads nothing", sent.Load())
		}
		close(goOn)
		<-done
		untilEnd(t, s)
		if count := <-got; count != total {
			t.Errorf("%d bytes of %d", count, total)
		}
	})
}

// writeUntilHeld writes until a write has to wait, or all of it, and says how much that was.
func writeUntilHeld(c *net.TCPConn, total int) int {
	written, chunk := 0, []byte(strings.Repeat("x", maxChunk))
	for written < total {
		_ = c.SetWriteDeadline(time.Now().Add(250 * time.Millisecond))
		count, err := c.Write(chunk)
		written += count
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	return written
}
