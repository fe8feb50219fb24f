package process

import (
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/status"

	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
	"cofferdam.dev/guest-agent/internal/image"
	"cofferdam.dev/guest-agent/internal/reaper"
	"cofferdam.dev/guest-agent/internal/refusal"
)

const (
	maxRunning = 512
	keptEnded  = 256
	// The outputs of all ended processes together; the guest's memory is the user's.
	keptEndedBytes = 16 << 20
)

// Table knows every process that was started through the API: all that run and the last that ended. Safe for
// concurrent use.
type Table struct {
	reaper *reaper.Reaper
	// Environment below a process's own: the agent's defaults and the sandbox's.
	environment func() (defaults, sandbox map[string]string)
	image       image.Image

	mu       sync.Mutex
	byID     map[string]*Process
	starting map[string]chan struct{} // each closed once its start has ended, well or not
	ended    []*Process               // oldest first
}

// NewTable makes an empty table. The environment is asked for at every start.
func NewTable(r *reaper.Reaper, environment func() (defaults, sandbox map[string]string)) *Table {
	return &Table{reaper: r, environment: environment, byID: make(map[string]*Process), starting: make(map[string]chan struct{})}
}

// Default sets what the image says of its processes. Before the first start.
func (t *Table) Default(said image.Image) { t.image = said }

// start runs a new process, or finds the one whose id the spec names, and attaches to its output from the start.
func (t *Table) start(ctx context.Context, spec *v1.ProcessSpec) (a *attachment, err error) {
	id := spec.GetProcess()
	if id == "" {
		id = "p-" + strings.ToLower(rand.Text()) // From the kernel: a generator of our own would repeat in every clone.
	} else if !processID.MatchString(id) {
		return nil, refusal.Invalid("process %q: expected [A-Za-z0-9._-]{1,64}", id)
	}
	known, err := t.claim(ctx, id)
	if err != nil {
		return nil, err
	}
	if known != nil {
		return attach(known, 0, 0)
	}
	defer func() { t.settle(id, a) }()
	// Not under the lock: the guest decides how long its accounts take to be read and its programs to be executed.
	return t.run(id, spec)
}

// claim makes the caller the one who starts the process, or finds it. Whoever comes while it is being started waits for what becomes of it.
func (t *Table) claim(ctx context.Context, id string) (known *Process, err error) {
	for {
		t.mu.Lock()
		known, starting := t.byID[id], t.starting[id]
		if known == nil && starting == nil {
			defer t.mu.Unlock()
			if running := len(t.byID) - len(t.ended) + len(t.starting); running >= maxRunning {
				return nil, refusal.New(v1.ErrorReason_ERROR_REASON_QUOTA_EXCEEDED, "%d processes run: at most %d are allowed", running, maxRunning)
			}
			t.starting[id] = make(chan struct{})
			return nil, nil
		}
		t.mu.Unlock()
		if known != nil {
			return known, nil
		}
		select {
		case <-starting:
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
}

// settle ends a claim. Without an attachment the start came to nothing.
func (t *Table) settle(id string, a *attachment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.starting[id])
	delete(t.starting, id)
	if a != nil {
		t.byID[id] = a.process
		go t.retire(a.process)
	}
}

func (t *Table) run(id string, spec *v1.ProcessSpec) (*attachment, error) {
	defaults, sandbox := t.environment()
	c, err := resolve(spec, t.image, defaults, sandbox)
	if err != nil {
		return nil, err
	}
	stdout, stderr := newOutput(), newOutput()
	readers, err := readBoth(stdout, stderr, 0, 0)
	if err != nil {
		return nil, err
	}
	p, err := launch(id, c, t.reaper, stdout, stderr)
	if err != nil {
		return nil, err
	}
	return &attachment{process: p, stdout: readers[0], stderr: readers[1]}, nil
}

// Running is how many have not ended.
func (t *Table) Running() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byID) - len(t.ended)
}

func (t *Table) find(id string) (*Process, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.byID[id]; p != nil {
		return p, nil
	}
	return nil, refusal.New(v1.ErrorReason_ERROR_REASON_PROCESS_NOT_FOUND, "no process %q", id)
}

// list gives all that are known, in the order of their start.
func (t *Table) list() []*Process {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]*Process, 0, len(t.byID))
	for _, p := range t.byID {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Process) int { return a.started.Compare(b.started) })
	return all
}

// retire forgets the oldest ended processes once a further one has ended.
func (t *Table) retire(p *Process) {
	<-p.done
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = append(t.ended, p)
	size := 0
	for _, e := range t.ended {
		size += e.stdout.Size() + e.stderr.Size()
	}
	for len(t.ended) > keptEnded || (size > keptEndedBytes && len(t.ended) > 1) {
		oldest := t.ended[0]
		size -= oldest.stdout.Size() + oldest.stderr.Size()
		delete(t.byID, oldest.id)
		t.ended = t.ended[1:]
	}
}

// attachment is one stream's view of a process.
type attachment struct {
	process        *Process
	stdout, stderr *Reader
}

func attach(p *Process, stdoutOffset, stderrOffset uint64) (*attachment, error) {
	readers, err := readBoth(p.stdout, p.stderr, stdoutOffset, stderrOffset)
	if err != nil {
		return nil, err
	}
	return &attachment{process: p, stdout: readers[0], stderr: readers[1]}, nil
}

func readBoth(stdout, stderr *Output, stdoutOffset, stderrOffset uint64) (readers [2]*Reader, err error) {
	if readers[0], err = stdout.ReadFrom(stdoutOffset); err != nil {
		return readers, unreadable(err, "stdout", stdoutOffset)
	}
	if readers[1], err = stderr.ReadFrom(stderrOffset); err != nil {
		readers[0].Close()
		return readers, unreadable(err, "stderr", stderrOffset)
	}
	return readers, nil
}

func unreadable(err error, stream string, offset uint64) error {
	if err == errLost {
		return refusal.New(v1.ErrorReason_ERROR_REASON_OUTPUT_LOST, "%s from offset %d: %v", stream, offset, err)
	}
	return refusal.Invalid("%s from offset %d: %v", stream, offset, err)
}

func (a *attachment) close() {
	a.stdout.Close()
	a.stderr.Close()
}
