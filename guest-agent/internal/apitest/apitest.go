// Package apitest lets tests meet the agent's services as its host does: through gRPC, with the agent's own limits.
package apitest

import (
	"context"
	"net"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

// Serve runs a server for the test's life and connects to it.
func Serve(t *testing.T, server *grpc.Server) *grpc.ClientConn {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return Dial(t, func(ctx context.Context) (net.Conn, error) { return listener.DialContext(ctx) })
}

// Dial connects over whatever the function gives.
func Dial(t *testing.T, dial func(context.Context) (net.Conn, error)) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///agent", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}

// Refused fails the test unless the error has exactly this code and this reason.
func Refused(t *testing.T, err error, code codes.Code, reason string) {
	t.Helper()
	s := status.Convert(err)
	got := ""
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == "cofferdam" {
			got = info.GetReason()
		}
	}
	if s.Code() != code || got != reason {
		t.Errorf("%v with reason %q, expected %v with %q: %s", s.Code(), got, code, reason, s.Message())
	}
}
