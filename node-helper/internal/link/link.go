// Package link relays a Unix socket of the host to the guest's agent inside a slot's namespace.
//
// It is the only path between the host and a slot, it leads inwards only, and it goes to one address and port.
package link

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"cofferdam.dev/node-helper/internal/wire"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

const (
	maxConnections = 128
	acceptPause    = 100 * time.Millisecond
)

// A guest that boots or resumes answers late, and the kernel repeats a lost SYN only after a second: so try again soon, then with more patience, for
// an emulated guest may need longer for one handshake.
var patience = []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 6 * time.Second}

// Relay serves one slot's socket.
type Relay struct {
	path     string
	listener *net.UnixListener
	ns       *os.File
	target   netip.AddrPort
	uid      int
	log      *slog.Logger
	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	guest context.Context // of the connections to the present guest
	drop  context.CancelFunc
}

// Start listens on path for uid (and root). It takes ns over and closes it when the relay is closed.
func Start(path string, uid, gid int, ns *os.File, target netip.AddrPort, log *slog.Logger) (*Relay, error) {
	listener, err := wire.Listen(path, gid)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Relay{path: path, listener: listener, ns: ns, target: target, uid: uid, log: log, ctx: ctx, cancel: cancel}
	r.guest, r.drop = context.WithCancel(ctx)
	r.running.Go(r.accept)
	return r, nil
}

// Close ends all connections and removes the socket. When it returns nothing of the relay holds the namespace.
func (r *Relay) Close() {
	r.cancel()
	r.listener.Close()
	r.running.Wait()
	r.ns.Close()
	if err := os.Remove(r.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.log.Warn("link_not_removed", "path", r.path, "error", err)
	}
}

// Disconnect ends the connections that there are: their guest is gone and will never say so.
func (r *Relay) Disconnect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop()
	r.guest, r.drop = context.WithCancel(r.ctx)
}

func (r *Relay) present() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.guest
}

func (r *Relay) accept() {
	places := make(chan struct{}, maxConnections)
	for {
		c, err := r.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors or memory: passing.
			r.log.Error("accept_failed", "path", r.path, "error", err)
			time.Sleep(acceptPause)
			continue
		}
		uid, err := wire.PeerUID(c)
		if err != nil || (uid != r.uid && uid != 0) {
			r.log.Warn("link_peer_refused", "path", r.path, "uid", uid)
			c.Close()
			continue
		}
		select {
		case places <- struct{}{}:
			r.running.Go(func() {
				defer func() { <-places }()
				r.relay(c)
			})
		default:
			c.Close()
		}
	}
}

func (r *Relay) relay(host *net.UnixConn) {
	defer host.Close()
	ctx := r.present()
	guest, err := r.dial(ctx)
	if err != nil {
		r.log.Debug("link_no_guest", "path", r.path, "error", err)
		return
	}
	defer guest.Close()
	stop := context.AfterFunc(ctx, func() {
		host.Close()
		guest.Close()
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		_, err := io.Copy(guest, host)
		if err = errors.Join(err, guest.CloseWrite()); err != nil {
			host.Close()
		}
	})
	both.Go(func() {
		_, err := io.Copy(host, guest)
		if err = errors.Join(err, host.CloseWrite()); err != nil {
			guest.Close()
		}
	})
	both.Wait()
}

func (r *Relay) dial(ctx context.Context) (*net.TCPConn, error) {
	var err error
	for _, limit := range patience {
		var c *net.TCPConn
		if c, err = r.dialOnce(ctx, limit); err == nil {
			return c, nil
		}
		if ctx.Err() != nil || errors.Is(err, unix.ECONNREFUSED) {
			break
		}
	}
	return nil, err
}

func (r *Relay) dialOnce(ctx context.Context, limit time.Duration) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := socket.Socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_TCP, "link", &socket.Config{NetNS: int(r.ns.Fd())})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err := s.Connect(ctx, &unix.SockaddrInet4{Port: int(r.target.Port()), Addr: r.target.Addr().As4()}); err != nil {
		return nil, err
	}
	return asTCP(s)
}

// asTCP gives the socket to package net, with which the kernel moves the bytes itself (splice).
func asTCP(s *socket.Conn) (*net.TCPConn, error) {
	raw, err := s.SyscallConn()
	if err != nil {
		return nil, err
	}
	duplicate := -1
	var inner error
	if err := raw.Control(func(fd uintptr) {
		duplicate, inner = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return nil, err
	}
	if inner != nil {
		return nil, inner
	}
	file := os.NewFile(uintptr(duplicate), "link")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(errors.New("not a TCP connection"), c.Close())
	}
	// Package net turns probes on. A paused guest answers none, for as long as it is paused; node-agent knows which are.
	if err := tcp.SetKeepAlive(false); err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	return tcp, nil
}
