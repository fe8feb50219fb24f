// Package server keeps a gRPC server on one listening socket and can drop every connection while the socket stays.
package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
)

// A call that has not ended by itself this long after its connection was told to go is cut.
const patience = time.Second

// Server is safe for concurrent use.
type Server struct {
	listener net.Listener
	peer     netip.Addr
	build    func() *grpc.Server
	accepted chan net.Conn
	failed   chan error
	drop     chan struct{}
}

// New serves the one peer on a TCP listener, with a fresh server of the given kind after each drop.
func New(listener net.Listener, peer netip.Addr, build func() *grpc.Server) *Server {
	return &Server{
		listener: listener, peer: peer, build: build, accepted: make(chan net.Conn), failed: make(chan error, 1), drop: make(chan struct{}, 1),
	}
}

// DropConnections closes all connections once the calls on them have been answered. It returns at once.
func (s *Server) DropConnections() {
	select {
	case s.drop <- struct{}{}:
	default: // One is under way, and whoever connects meanwhile belongs to it.
	}
}

// Serve answers until the context ends or the listener fails.
func (s *Server) Serve(ctx context.Context) error {
	defer s.listener.Close()
	go s.accept(ctx)
	for {
		server := s.build()
		turn := &turn{parent: s, over: make(chan struct{})}
		served := make(chan error, 1)
		go func() { served <- server.Serve(turn) }()
		select {
		case <-s.drop:
			stop(server)
			<-served
		case err := <-s.failed:
			server.Stop()
			return err
		case <-ctx.Done():
			server.Stop()
			return nil
		}
	}
}

func stop(server *grpc.Server) {
	cut := time.AfterFunc(patience, server.Stop)
	defer cut.Stop()
	server.GracefulStop()
}

func (s *Server) accept(ctx context.Context) {
	for {
		connection, err := s.listener.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool } // Such as no descriptor left.
			if errors.As(err, &temporary) && temporary.Temporary() {
				select {
				case <-time.After(10 * time.Millisecond):
					continue
				case <-ctx.Done():
					return
				}
			}
			s.failed <- err
			return
		}
		if from, ok := connection.RemoteAddr().(*net.TCPAddr); !ok || from.AddrPort().Addr().Unmap() != s.peer {
			connection.Close()
			continue
		}
		select {
		case s.accepted <- connection:
		case <-ctx.Done():
			connection.Close()
			return
		}
	}
}

// turn is the listener of one gRPC server: closing it leaves the socket to the next.
type turn struct {
	parent *Server
	once   sync.Once
	over   chan struct{}
}

func (t *turn) Accept() (net.Conn, error) {
	select {
	case connection := <-t.parent.accepted:
		return connection, nil
	case <-t.over:
		return nil, net.ErrClosed
	}
}

func (t *turn) Close() error {
	t.once.Do(func() { close(t.over) })
	return nil
}

func (t *turn) Addr() net.Addr { return t.parent.listener.Addr() }
