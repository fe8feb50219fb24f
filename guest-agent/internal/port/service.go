// Package port is cofferdam.v1.PortService: connections to TCP ports of the guest, at its own loopback addresses and
// nowhere else. It is one file.
package port

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
	"time"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// Own is the agent's own port, which nobody is led to.
const Own = 1024

const (
	maxChunk = 64 << 10
	// A listener whose queue is full answers no SYN.
	patience = 10 * time.Second
)

// In this order. Constants, because a name such as localhost is what the guest's files say it is.
var loopback = [...]string{"127.0.0.1", "::1"}

// Service answers the API.
type Service struct {
	v1.UnimplementedPortServiceServer
}

// Forward is one connection.
func (Service) Forward(stream v1.PortService_ForwardServer) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return refusal.Invalid("the stream ended before its first message")
	}
	if err != nil {
		return err
	}
	number, err := portOf(first)
	if err != nil {
		return err
	}
	connection, err := dial(stream.Context(), number)
	if err != nil {
		return err
	}
	err = relay(stream, connection)
	if err != nil {
		// Broken off, not ended: the guest's side must not take a part for the whole.
		_ = connection.SetLinger(0)
	}
	_ = connection.Close()
	return err
}

// relay returns nil once both directions have ended, an error as soon as one has failed; closing the connection and
// returning from the call end the other.
func relay(stream v1.PortService_ForwardServer, connection *net.TCPConn) error {
	if err := stream.Send(&v1.ForwardResponse{}); err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- toGuest(stream, connection) }()
	go func() { ended <- fromGuest(stream, connection) }()
	if err := <-ended; err != nil {
		return err
	}
	return <-ended
}

func portOf(first *v1.ForwardRequest) (uint32, error) {
	if _, ok := first.GetMessage().(*v1.ForwardRequest_Port); !ok {
		return 0, refusal.Invalid("the first message must carry port")
	}
	number := first.GetPort()
	if number < 1 || number > 65535 {
		return 0, refusal.Invalid("port %d: expected 1 to 65535", number)
	}
	if number == Own {
		return 0, refusal.Invalid("port %d is the agent's own", number)
	}
	return number, nil
}

func dial(ctx context.Context, number uint32) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var refused error
	for _, address := range loopback {
		var dialer net.Dialer
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(int(number))))
		if err == nil {
			return connection.(*net.TCPConn), nil
		}
		if exhausted(err) {
			return nil, refusal.New(v1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED, "port %d: %v", number, err)
		}
		if refused == nil {
			refused = err // What 127.0.0.1 said counts: a guest need not have ::1.
		}
	}
	return nil, refusal.New(v1.ErrorReason_ERROR_REASON_PORT_CLOSED, "port %d: %v", number, refused)
}

// exhausted tells what the guest lacks from what its port is.
func exhausted(err error) bool {
	for _, lacking := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, lacking) {
			return true
		}
	}
	return false
}

// toGuest passes on what the client sends, no faster than the guest takes it: a message that was not asked for waits
// with the client.
func toGuest(stream v1.PortService_ForwardServer, connection *net.TCPConn) error {
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			// To end a direction that the other side has broken off is no failure; its reading side tells.
			_ = connection.CloseWrite()
			return nil
		}
		if err != nil {
			return err
		}
		if _, again := message.GetMessage().(*v1.ForwardRequest_Port); again {
			return refusal.Invalid("port is for the first message only")
		}
		if len(message.GetData()) > maxChunk {
			return refusal.New(v1.ErrorReason_ERROR_REASON_MESSAGE_TOO_LARGE,
				"data of %d bytes in one message: at most %d are allowed", len(message.GetData()), maxChunk)
		}
		if _, err := connection.Write(message.GetData()); err != nil {
			return reset(err)
		}
	}
}

// fromGuest passes on what the guest sends, no faster than the client takes it.
func fromGuest(stream v1.PortService_ForwardServer, connection *net.TCPConn) error {
	buffer := make([]byte, maxChunk)
	for {
		count, err := connection.Read(buffer)
		if count > 0 {
			// Sent bytes are encoded before Send returns, so the buffer is free again.
			if err := stream.Send(&v1.ForwardResponse{Data: buffer[:count]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return stream.Send(&v1.ForwardResponse{End: true})
		}
		if err != nil {
			return reset(err)
		}
	}
}

func reset(err error) error {
	return refusal.New(v1.ErrorReason_ERROR_REASON_CONNECTION_RESET, "the connection in the guest was broken off: %v", err)
}
