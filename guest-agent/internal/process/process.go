package process

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/reaper"
	"cofferdam.dev/guest-agent/internal/refusal"
)

// Process is one that the agent started, running or ended.
type Process struct {
	id       string
	argv     []string
	started  time.Time
	child    *reaper.Child
	stdin    *Input
	stdout   *Output
	stderr   *Output
	terminal *os.File // nil where the process has pipes
	// Closed once it has ended and all that it wrote is in the outputs.
	done chan struct{}
}

// ends are the files of a process: those it gets as 0, 1 and 2, and those by which the agent meets it.
type ends struct {
	theirs         [3]*os.File
	stdin          *os.File
	stdout, stderr *os.File // stderr is nil with a terminal
}

// launch starts a command. Its outputs come from the caller, so that a reader can be there before the first byte.
func launch(id string, c *command, r *reaper.Reaper, stdout, stderr *Output) (*Process, error) {
	files, err := open(c)
	if err != nil {
		return nil, err
	}
	attr := &syscall.ProcAttr{
		Dir: c.directory, Env: c.env,
		Files: []uintptr{files.theirs[0].Fd(), files.theirs[1].Fd(), files.theirs[2].Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true, Setctty: c.terminal != nil, Credential: c.credential},
	}
	child, err := r.Start(c.program, c.argv, attr)
	files.closeTheirs()
	if err != nil {
		files.closeOurs()
		return nil, notRunnable(err, c.argv[0])
	}
	p := &Process{
		id: id, argv: c.argv, started: time.Now(), child: child, stdout: stdout, stderr: stderr,
		stdin: newInput(files.stdin, c.terminal != nil), done: make(chan struct{}),
	}
	pumps := []*pump{startPump(files.stdout, stdout)}
	if files.stderr != nil {
		pumps = append(pumps, startPump(files.stderr, stderr))
	} else {
		p.terminal = files.stdout
		stderr.Close()
	}
	go p.await(pumps)
	return p, nil
}

func (p *Process) await(pumps []*pump) {
	<-p.child.Done()
	p.stdin.release()
	for _, pump := range pumps {
		pump.finish()
	}
	for _, pump := range pumps {
		<-pump.drained
	}
	close(p.done)
}

// exited is nil while the process runs.
func (p *Process) exited() *v1.ProcessExited {
	select {
	case <-p.done:
	default:
		return nil
	}
	if status := p.child.Status(); status.Signaled() {
		return &v1.ProcessExited{Signal: int32(status.Signal())}
	} else {
		return &v1.ProcessExited{ExitCode: int32(status.ExitStatus())}
	}
}

// pump moves what a process writes from its pipe or terminal into an output.
type pump struct {
	source  *os.File
	output  *Output
	drained chan struct{}
}

func startPump(source *os.File, output *Output) *pump {
	p := &pump{source: source, output: output, drained: make(chan struct{})}
	go p.run()
	return p
}

// finish is for when the process has ended: what it left in the pipe is still taken, and then the output is complete,
// although a child in the background may hold the pipe open for ever.
func (p *pump) finish() { _ = p.source.SetReadDeadline(time.Unix(1, 0)) }

func (p *pump) run() {
	p.move()
	p.output.Close()
	close(p.drained)
	// A child left in the background goes on writing; a closed pipe would kill it.
	_, _ = io.Copy(io.Discard, p.source)
	_ = p.source.Close()
}

// move ends with the process, or with the last who holds the other end.
func (p *pump) move() {
	buffer := borrow()
	defer giveBack(buffer)
	if err := p.copy(buffer[:]); errors.Is(err, os.ErrDeadlineExceeded) {
		_ = p.source.SetReadDeadline(time.Time{})
		p.takeRest(buffer[:])
	}
}

func (p *pump) copy(buffer []byte) error {
	for {
		count, err := p.source.Read(buffer)
		p.output.Append(buffer[:count])
		if err != nil {
			return err
		}
	}
}

// takeRest reads what is there without waiting. A pipe holds at most 1 MiB (pipe(7)), so that more than that comes from
// a child that writes as fast as we read.
func (p *pump) takeRest(buffer []byte) {
	raw, err := p.source.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		for left := 1 << 20; left > 0; {
			count, err := unix.Read(int(fd), buffer)
			if errors.Is(err, unix.EINTR) {
				continue
			}
			if err != nil || count <= 0 {
				break
			}
			p.output.Append(buffer[:count])
			left -= count
		}
		return true
	})
}

func open(c *command) (*ends, error) {
	if c.terminal != nil {
		uid := os.Getuid()
		if c.credential != nil {
			uid = int(c.credential.Uid)
		}
		ours, theirs, err := openTerminal(c.terminal, uid)
		if err != nil {
			return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "no terminal: %v", err)
		}
		return &ends{theirs: [3]*os.File{theirs, theirs, theirs}, stdin: ours, stdout: ours}, nil
	}
	var files ends
	var err error
	if files.theirs[0], files.stdin, err = pipe(false); err == nil {
		if files.stdout, files.theirs[1], err = pipe(true); err == nil {
			files.stderr, files.theirs[2], err = pipe(true)
		}
	}
	if err != nil {
		files.closeTheirs()
		files.closeOurs()
		return nil, refusal.New(v1.ErrorReason_ERROR_REASON_INTERNAL, "no pipe: %v", err)
	}
	return &files, nil
}

// pipe gives a reading and a writing end. Ours goes through the runtime's poller; theirs blocks, as programs expect.
func pipe(oursReads bool) (reads, writes *os.File, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, err
	}
	ours := fds[1]
	if oursReads {
		ours = fds[0]
	}
	if err := unix.SetNonblock(ours, true); err != nil {
		unix.Close(fds[0])
		unix.Close(fds[1])
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "pipe"), os.NewFile(uintptr(fds[1]), "pipe"), nil
}

func (e *ends) closeTheirs() {
	for _, file := range e.theirs {
		_ = file.Close() // Of a nil or an already closed file: an error and nothing else.
	}
}

func (e *ends) closeOurs() {
	_ = e.stdin.Close()
	_ = e.stdout.Close()
	_ = e.stderr.Close()
}
