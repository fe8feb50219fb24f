package server_test

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"cofferdam.dev/guest-agent/internal/apitest"
	"cofferdam.dev/guest-agent/internal/server"
)

// dropping drops all connections while it answers, as PrepareSnapshot does.
type dropping struct {
	*health.Server
	server *server.Server
}

func (d *dropping) Check(ctx context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	if request.GetService() == "drop" {
		d.server.DropConnections()
		request.Service = ""
	}
	return d.Server.Check(ctx, request)
}

func TestConnectionsAreDroppedAfterTheAnswerAndTheSocketStays(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	service := &dropping{Server: health.NewServer()}
	service.server = server.New(listener, netip.MustParseAddr("127.0.0.1"), func() *grpc.Server {
		s := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(s, service)
		return s
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- service.server.Serve(ctx) }()
	dial := func(context.Context) (net.Conn, error) { return net.Dial("tcp", listener.Addr().String()) }

	for range 3 {
		connection, idle := apitest.Dial(t, dial), apitest.Dial(t, dial)
		if _, err := grpc_health_v1.NewHealthClient(idle).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			t.Fatal(err)
		}
		// A stream that never ends by itself must not keep its connection.
		watch, err := grpc_health_v1.NewHealthClient(idle).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := watch.Recv(); err != nil {
			t.Fatal(err)
		}
		if _, err := grpc_health_v1.NewHealthClient(connection).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "drop"}); err != nil {
			t.Fatalf("the call during which connections are dropped was not answered: %v", err)
		}
		for _, each := range []*grpc.ClientConn{connection, idle} {
			for each.GetState() == connectivity.Ready {
				each.WaitForStateChange(t.Context(), connectivity.Ready)
			}
		}
		if _, err := watch.Recv(); err == nil {
			t.Error("a stream outlived the drop")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if connection, err := dial(t.Context()); err == nil {
		connection.Close()
		t.Error("the socket listens after the end")
	}
}

// A process of the guest could reach the agent's address, too: it gets no word, and none of the agent's descriptors.
func TestOnlyTheOnePeerIsServed(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server.New(listener, netip.MustParseAddr("127.0.0.2"), func() *grpc.Server {
		g := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(g, health.NewServer())
		return g
	})
	go func() { _ = s.Serve(t.Context()) }()
	from := func(address string) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext(ctx, "tcp4", listener.Addr().String())
		}
	}
	stranger, err := from("127.0.0.1")(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if count, err := stranger.Read(make([]byte, 1)); count != 0 || err == nil {
		t.Errorf("a stranger was answered: %d bytes, %v", count, err)
	}
	host := apitest.Dial(t, from("127.0.0.2"))
	if _, err := grpc_health_v1.NewHealthClient(host).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{}, grpc.WaitForReady(true)); err != nil {
		t.Error(err)
	}
}
