// Package wire speaks the helper's protocol: one JSON object per line each way, over a Unix socket, to one uid.
// Start at Server.
package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxLine        = 64 << 10
	maxConnections = 64
	maxInFlight    = 32
	// A peer that does not read its answers loses the connection, not the helper a goroutine for ever.
	writeTimeout = 10 * time.Second
	acceptPause  = 100 * time.Millisecond
)

// Code is the closed list of error codes.
type Code string

const (
	Invalid  Code = "invalid"
	NotFound Code = "not_found"
	Exists   Code = "exists"
	Failed   Code = "failed"
)

// Error is what a verb answers when it refuses or fails.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Message }

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

type request struct {
	ID   int64           `json:"id"`
	Verb string          `json:"verb"`
	Args json.RawMessage `json:"args"`
}

type answer struct {
	ID    int64  `json:"id"`
	OK    any    `json:"ok,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// Verb is one privileged act. It decodes its own arguments with Decode.
type Verb func(args json.RawMessage) (any, error)

// Watch turns its connection into a stream: it sends lines until send fails or ctx ends.
type Watch func(ctx context.Context, args json.RawMessage, send func(line any) error) error

// Server answers requests of one uid (and root).
type Server struct {
	UID     int
	Verbs   map[string]Verb
	Watches map[string]Watch
	Log     *slog.Logger
}

// Listen binds the socket, replacing a stale one, for the group alone.
func Listen(path string, gid int) (*net.UnixListener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	// umask is the process's: set once at start (0077), so the socket is nobody's until chmod below.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chown(path, 0, gid); err != nil {
		l.Close()
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// PeerUID is the uid that the peer had when it connected (SO_PEERCRED).
func PeerUID(c *net.UnixConn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var inner error
	if err := raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return -1, err
	}
	if inner != nil {
		return -1, inner
	}
	return int(cred.Uid), nil
}

// Serve accepts until the listener is closed.
func (s *Server) Serve(l *net.UnixListener) error {
	places := make(chan struct{}, maxConnections)
	for {
		c, err := l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			// Out of descriptors or memory: passing, and no reason to leave the mesh without a helper.
			s.Log.Error("accept_failed", "error", err)
			time.Sleep(acceptPause)
			continue
		}
		uid, err := PeerUID(c)
		if err != nil || (uid != s.UID && uid != 0) {
			s.Log.Warn("peer_refused", "uid", uid)
			c.Close()
			continue
		}
		select {
		case places <- struct{}{}:
			go func() {
				defer func() { <-places }()
				s.connection(c)
			}()
		default:
			s.Log.Warn("peer_refused", "reason", "too many connections")
			c.Close()
		}
	}
}

type connection struct {
	conn *net.UnixConn
	mu   sync.Mutex
}

func (c *connection) send(line any) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = c.conn.Write(append(text, '\n'))
	return err
}

func (s *Server) connection(conn *net.UnixConn) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &connection{conn: conn}
	var running sync.WaitGroup
	places := make(chan struct{}, maxInFlight)
	lines := bufio.NewScanner(conn)
	lines.Buffer(make([]byte, 4096), maxLine)
	for lines.Scan() {
		var r request
		if err := Decode(lines.Bytes(), &r); err != nil {
			// Without a trustworthy id nothing can be answered in order: say so and hang up.
			_ = c.send(answer{Error: Errorf(Invalid, "request: %v", err)})
			break
		}
		if len(r.Args) == 0 {
			r.Args = json.RawMessage("{}")
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			if err := s.answer(ctx, c, r); err != nil {
				conn.Close()
			}
		})
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		_ = c.send(answer{Error: Errorf(Invalid, "a line is at most %d bytes", maxLine)})
	}
	cancel()
	running.Wait()
	conn.Close()
}

// answer returns an error only when the connection is of no use any more.
func (s *Server) answer(ctx context.Context, c *connection, r request) error {
	if watch, ok := s.Watches[r.Verb]; ok {
		first := true
		err := watch(ctx, r.Args, func(line any) error {
			if first {
				first = false
				return c.send(answer{ID: r.ID, OK: line})
			}
			return c.send(line)
		})
		if first {
			return c.send(answer{ID: r.ID, Error: asError(err)})
		}
		return errors.Join(err, errors.New("the stream ended"))
	}
	verb, ok := s.Verbs[r.Verb]
	if !ok {
		return c.send(answer{ID: r.ID, Error: Errorf(Invalid, "unknown verb %.64q", r.Verb)})
	}
	start := time.Now()
	result, err := verb(r.Args)
	if err != nil {
		e := asError(err)
		s.Log.Warn("verb_refused", "verb", r.Verb, "code", e.Code, "message", e.Message)
		return c.send(answer{ID: r.ID, Error: e})
	}
	s.Log.Info("verb_done", "verb", r.Verb, "micros", time.Since(start).Microseconds())
	return c.send(answer{ID: r.ID, OK: result})
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Errorf(Failed, "%v", err)
}
