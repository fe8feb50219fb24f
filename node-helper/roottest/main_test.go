// Package roottest drives the real binary against a real kernel: namespaces, taps, nftables, QEMU. It needs root and skips without.
//
// The "host" is a namespace of its own with ip_forward=1 and one uplink, whose other end counts every packet.
package roottest

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays other programs as well, told by the environment.
const (
	roleVariable = "NODE_HELPER_TEST_ROLE"
	roleGateway  = "gateway"
	roleStranger = "stranger"
)

var helperBinary string

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case roleGateway:
		playGateway()
		return
	case roleStranger:
		playStranger()
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		return m.Run() // every test skips and says why
	}
	dir, err := os.MkdirTemp("", "node-helper-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	helperBinary = filepath.Join(dir, "node-helper")
	if out, err := exec.Command("../build.sh", helperBinary).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// arrival is what the played gateway prints for each connection or datagram.
type arrival struct {
	Kind   string `json:"kind"`
	Local  string `json:"local"`
	Remote string `json:"remote"`
}

// playGateway adopts the inherited sockets as the real one does, echoes, and says what arrived.
func playGateway() {
	report := json.NewEncoder(os.Stdout)
	listen := func(fd uintptr, kind string) {
		l, err := net.FileListener(os.NewFile(fd, kind))
		if err != nil {
			panic(err)
		}
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			_ = report.Encode(arrival{kind, c.LocalAddr().String(), c.RemoteAddr().String()})
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}
	// Asked before anything of Go's touches them: os.File makes a descriptor what it needs.
	for fd := 3; fd <= 5; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
			panic(fmt.Sprintf("descriptor %d would block an event loop: flags %o, %v", fd, flags, err))
		}
	}
	go listen(3, "tcp")
	go listen(5, "dns-tcp")
	udp, err := net.FilePacketConn(os.NewFile(4, "dns-udp"))
	if err != nil {
		panic(err)
	}
	_ = report.Encode(arrival{"ready", os.Getenv("COFFERDAM_GATEWAY_FDS"), ""})
	buffer := make([]byte, 2048)
	for {
		n, from, err := udp.ReadFrom(buffer)
		if err != nil {
			panic(err)
		}
		_ = report.Encode(arrival{"dns-udp", udp.LocalAddr().String(), from.String()})
		_, _ = udp.WriteTo(buffer[:n], from)
	}
}

// playStranger connects to a socket under another uid and says what became of it.
func playStranger() {
	c, err := net.Dial("unix", os.Args[len(os.Args)-1])
	if err != nil {
		fmt.Print("dial: ", err)
		return
	}
	// Who is served is not hung up on: the wait ends here.
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte(`{"id":1,"verb":"slot.list","args":{}}` + "\n"))
	answer, err := io.ReadAll(c)
	fmt.Printf("answer %q %v", answer, err)
}
