// Package gateway starts the egress gateway: it makes the three sockets inside the gate and becomes the gateway's program,
// outside the gate and without root.
package gateway

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"cofferdam.dev/node-helper/internal/netspace"
	"cofferdam.dev/node-helper/internal/network"
	"cofferdam.dev/node-helper/internal/privilege"
	"golang.org/x/sys/unix"
)

const (
	// Descriptors of the program: transparent TCP, DNS over UDP, DNS over TCP.
	firstFD = 3
	sockets = 3
	backlog = 4096

	// FDVariable names the environment variable that says which descriptor is which.
	FDVariable = "COFFERDAM_GATEWAY_FDS"
	fdValue    = "tcp:3,dns-udp:4,dns-tcp:5"
)

// ReserveFDs occupies 3 to 5 before the Go runtime opens anything for itself there. Main calls it first.
func ReserveFDs() error {
	for fd := firstFD; fd < firstFD+sockets; fd++ {
		null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if null > fd {
			// Something was inherited here; it goes.
			if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil {
				return err
			}
			unix.Close(null)
		}
	}
	return nil
}

// Exec replaces this process with command as the user. It returns only with an error.
func Exec(n *network.Network, userName string, command []string) error {
	if len(command) == 0 || !filepath.IsAbs(command[0]) {
		return errors.New("the command must be an absolute path")
	}
	uid, gid, err := lookUp(userName)
	if err != nil {
		return err
	}
	if _, err := n.EnsureGate(); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	gate, err := n.OpenGate()
	if err != nil {
		return err
	}
	var fds []int
	if err := netspace.Do(gate, func() (err error) {
		fds, err = open()
		return err
	}); err != nil {
		return fmt.Errorf("gate's sockets: %w", err)
	}
	runtime.LockOSThread()
	for i, fd := range fds {
		if err := unix.Dup3(fd, firstFD+i, 0); err != nil {
			return err
		}
	}
	if err := unix.CloseRange(firstFD+sockets, ^uint(0), unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return err
	}
	environment := withVariable(os.Environ(), FDVariable, fdValue)
	if err := privilege.Drop(uid, gid); err != nil {
		return err
	}
	return fmt.Errorf("exec %s: %w", command[0], unix.Exec(command[0], command, environment))
}

func lookUp(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, err
	}
	if uid == 0 || gid == 0 {
		return 0, 0, fmt.Errorf("user %s is root or of root's group", name)
	}
	return uid, gid, nil
}

func withVariable(environment []string, name, value string) []string {
	out := make([]string, 0, len(environment)+1)
	for _, e := range environment {
		if !strings.HasPrefix(e, name+"=") {
			out = append(out, e)
		}
	}
	return append(out, name+"="+value)
}

// open makes the sockets in the calling thread's namespace.
func open() (fds []int, err error) {
	dns := [4]byte{198, 18, 0, 1}
	for _, s := range []struct {
		kind        int
		address     unix.SockaddrInet4
		transparent bool
	}{
		{unix.SOCK_STREAM, unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: network.ListenerPort}, true},
		{unix.SOCK_DGRAM, unix.SockaddrInet4{Addr: dns, Port: 53}, false},
		{unix.SOCK_STREAM, unix.SockaddrInet4{Addr: dns, Port: 53}, false},
	} {
		fd, err := openOne(s.kind, &s.address, s.transparent)
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func openOne(kind int, address *unix.SockaddrInet4, transparent bool) (int, error) {
	// An event loop adopts it: one blocking read there would stop every other connection of that loop.
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	fail := func(what string, err error) (int, error) {
		unix.Close(fd)
		return -1, fmt.Errorf("%s for port %d: %w", what, address.Port, err)
	}
	if transparent {
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT, 1); err != nil {
			return fail("IP_TRANSPARENT", err)
		}
	}
	if kind == unix.SOCK_STREAM {
		// Connections of the gateway before this one may linger in TIME-WAIT. SO_REUSEPORT stays off: one listener, ours.
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return fail("SO_REUSEADDR", err)
		}
	}
	if err := unix.Bind(fd, address); err != nil {
		return fail("bind", err)
	}
	if kind == unix.SOCK_STREAM {
		if err := unix.Listen(fd, backlog); err != nil {
			return fail("listen", err)
		}
	}
	return fd, nil
}
