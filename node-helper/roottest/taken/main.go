// Taken stands in for a VMM that its guest has taken over. It is started as the VMM is, does nothing of its own, and tries what it is told on the Unix socket where
// a VMM would answer QMP: one attempt per line, one answer each.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

type attempt struct {
	Try  string   `json:"try"`
	Path string   `json:"path"`
	To   string   `json:"to"`
	N    []uint64 `json:"n"`
}

type outcome struct {
	// Empty if the attempt succeeded.
	Errno  string `json:"errno"`
	Result int    `json:"result"`
	Text   string `json:"text"`
}

func main() {
	if len(os.Args) == 2 {
		// Not in a jail, for what the attempts are worth there.
		serve(os.Args[1])
		return
	}
	serve("/sandbox/qmp.sock")
}

func serve(path string) {
	// The kernel says by error what it would otherwise say by signal.
	signal.Ignore(unix.SIGXFSZ)
	l, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		lines := bufio.NewScanner(c)
		answers := json.NewEncoder(c)
		for lines.Scan() {
			var a attempt
			if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
				panic(err)
			}
			_ = answers.Encode(try(&a))
		}
		c.Close()
	}
}

func try(a *attempt) outcome {
	act, ok := attempts[a.Try]
	if !ok {
		panic(a.Try)
	}
	o := outcome{}
	err := act(a, &o)
	var errno syscall.Errno
	switch {
	case err == nil:
	case errors.As(err, &errno):
		o.Errno = unix.ErrnoName(errno)
	default:
		o.Errno = err.Error()
	}
	return o
}

var attempts = map[string]func(*attempt, *outcome) error{
	"read":     func(a *attempt, o *outcome) error { return open(a, o, unix.O_RDONLY) },
	"write":    func(a *attempt, o *outcome) error { return open(a, o, unix.O_RDWR) },
	"create":   func(a *attempt, o *outcome) error { return open(a, o, unix.O_RDWR|unix.O_CREAT) },
	"list":     list,
	"symlink":  func(a *attempt, _ *outcome) error { return unix.Symlink(a.To, a.Path) },
	"link":     func(a *attempt, _ *outcome) error { return unix.Link(a.To, a.Path) },
	"rename":   func(a *attempt, _ *outcome) error { return unix.Rename(a.To, a.Path) },
	"fifo":     func(a *attempt, _ *outcome) error { return unix.Mkfifo(a.Path, 0o666) },
	"device":   func(a *attempt, _ *outcome) error { return unix.Mknod(a.Path, unix.S_IFBLK|0o666, int(a.N[0])) },
	"mkdir":    func(a *attempt, _ *outcome) error { return unix.Mkdir(a.Path, 0o777) },
	"chmod":    func(a *attempt, _ *outcome) error { return unix.Chmod(a.Path, uint32(a.N[0])) },
	"chown":    func(a *attempt, _ *outcome) error { return unix.Chown(a.Path, int(a.N[0]), int(a.N[0])) },
	"truncate": func(a *attempt, _ *outcome) error { return unix.Truncate(a.Path, int64(a.N[0])) },
	"exec":     execute,
	"i386":     callAs386,
	"connect":  func(a *attempt, _ *outcome) error { return connect(&unix.SockaddrUnix{Name: a.Path}) },
	"listen":   listen,
	"socket":   socket,
	"syscall":  systemCall,
	"clone":    clone,
	"kill":     func(a *attempt, _ *outcome) error { return unix.Kill(int(int64(a.N[0])), unix.Signal(a.N[1])) },
	"ioctl":    ioctl,
	"memory":   memory,
	"forks":    forks,
	"files":    files,
}

func open(a *attempt, _ *outcome, flags int) error {
	fd, err := unix.Open(a.Path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o666)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func list(a *attempt, o *outcome) error {
	entries, err := os.ReadDir(a.Path)
	for _, e := range entries {
		o.Text += e.Name() + " "
	}
	return err
}

// execute is judged by the call alone: it runs in a child that ends with the error as its status.
func execute(a *attempt, _ *outcome) error {
	path, err := unix.BytePtrFromString(a.Path)
	if err != nil {
		return err
	}
	argv := []*byte{path, nil}
	return inChild(func() uintptr {
		_, _, e := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&argv[1])))
		return uintptr(e)
	})
}

// getpid386 makes a call as programs of i386 do, by int 0x80: there every number means something else.
func getpid386() uintptr

func callAs386(*attempt, *outcome) error {
	return inChild(func() uintptr {
		if pid, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0); getpid386() != pid {
			return uintptr(unix.ENOSYS)
		}
		return 0
	})
}

// inChild forks: the child makes raw calls alone, for the runtime does not know of it. A status of 0 is success.
//
//go:norace
func inChild(act func() uintptr) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		status := act()
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, status, 0, 0)
		}
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(int(pid), &status, 0, nil); err != nil {
		return err
	}
	if !status.Exited() {
		return fmt.Errorf("signal %d", status.Signal())
	}
	if status.ExitStatus() != 0 {
		return unix.Errno(status.ExitStatus())
	}
	return nil
}

func connect(to unix.Sockaddr) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Connect(fd, to)
}

// listen proves that a name can be bound, and lets go of it.
func listen(a *attempt, _ *outcome) error {
	l, err := net.Listen("unix", a.Path)
	if err != nil {
		return err
	}
	return l.Close()
}

func socket(a *attempt, _ *outcome) error {
	fd, err := unix.Socket(int(a.N[0]), int(a.N[1]), int(a.N[2]))
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func systemCall(a *attempt, o *outcome) error {
	var n [6]uintptr
	for i, v := range a.N[1:] {
		n[i] = uintptr(v)
	}
	r, _, e := unix.RawSyscall6(uintptr(a.N[0]), n[0], n[1], n[2], n[3], n[4], n[5])
	o.Result = int(r)
	if e != 0 {
		return e
	}
	return nil
}

// clone makes a child with the namespaces asked for, which ends at once.
func clone(a *attempt, _ *outcome) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(a.N[0])|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		for {
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

func ioctl(a *attempt, _ *outcome) error {
	text := []byte("x\x00")
	_, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(a.N[0]), uintptr(a.N[1]), uintptr(unsafe.Pointer(&text[0])))
	if e != 0 {
		return e
	}
	return nil
}

// memory takes MiB after MiB and writes to each page.
func memory(a *attempt, o *outcome) error {
	for range a.N[0] {
		page, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		if err != nil {
			return err
		}
		for i := 0; i < len(page); i += 4096 {
			page[i] = 1
		}
		o.Result++
	}
	return nil
}

// forks has as many children at a time as it can, and ends them.
func forks(a *attempt, o *outcome) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var pids []int
	var failed error
	for range a.N[0] {
		pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
		if e != 0 {
			failed = e
			break
		}
		if pid == 0 {
			for {
				unix.RawSyscall(unix.SYS_PAUSE, 0, 0, 0)
			}
		}
		pids = append(pids, int(pid))
	}
	o.Result = len(pids)
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
		_, _ = unix.Wait4(pid, nil, 0, nil)
	}
	return failed
}

func files(a *attempt, o *outcome) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for range a.N[0] {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		fds = append(fds, fd)
		o.Result = len(fds)
	}
	return nil
}
