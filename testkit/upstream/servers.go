package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// servers are the listeners, all with one handler.
type servers struct {
	handler      http.Handler
	certificates *certificates
	running      []*http.Server
	listeners    []net.Listener
	// failed gets the first listener's end that nobody asked for.
	failed chan error
}

func newServers(handler http.Handler, certificates *certificates) *servers {
	return &servers{handler: handler, certificates: certificates, failed: make(chan error, 1)}
}

func (s *servers) listenTLS(address string) error {
	return s.listen(address, func(server *http.Server, listener net.Listener) error {
		server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			GetCertificate: s.certificates.choose,
			NextProtos:     []string{"h2", "http/1.1"},
		}
		return server.ServeTLS(listener, "", "")
	})
}

func (s *servers) listenPlain(address string) error {
	return s.listen(address, (*http.Server).Serve)
}

func (s *servers) listen(address string, serve func(*http.Server, net.Listener) error) error {
	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", address, err)
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 30 * time.Second,
		// Handshakes that a client refuses are what half of the tests are about; they are no news.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	s.running = append(s.running, server)
	s.listeners = append(s.listeners, listener)
	go func() {
		if err := serve(server, listener); err != http.ErrServerClosed {
			select {
			case s.failed <- err:
			default:
			}
		}
	}()
	return nil
}

func (s *servers) addresses() []string {
	var all []string
	for _, listener := range s.listeners {
		all = append(all, listener.Addr().String())
	}
	return all
}

func (s *servers) close() {
	for _, server := range s.running {
		_ = server.Close()
	}
}
