package process

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"cofferdam.dev/guest-agent/internal/apitest"
	v1 "cofferdam.dev/guest-agent/internal/gen/cofferdamv1"
)

const relayedBytes = 1 << 20

func TestAStartThatTakesLongHoldsNobodyElseBack(t *testing.T) {
	asked, released := make(chan struct{}), make(chan struct{})
	first := true
	table := NewTable(children, func() (map[string]string, map[string]string) {
		if first {
			first = false
			close(asked)
			<-released
		}
		return nil, nil
	})
	spec := func(id string) *v1.ProcessSpec { return &v1.ProcessSpec{Process: id, Argv: []string{"true"}} }
	type outcome struct {
		a   *attachment
		err error
	}
	slow := make(chan outcome)
	go func() {
		a, err := table.start(t.Context(), spec("slow"))
		slow <- outcome{a, err}
	}()
	<-asked

	a, err := table.start(t.Context(), spec("quick"))
	if err != nil {
		t.Fatal(err)
	}
	a.close()
	if processes := table.list(); len(processes) != 1 {
		t.Errorf("%d processes are known while one is being started", len(processes))
	}
	// The same once more waits for the first, as long as its caller does, and then is the first's.
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := table.start(gone, spec("slow")); err == nil {
		t.Error("a process was started twice")
	}
	again := make(chan outcome)
	go func() {
		a, err := table.start(t.Context(), spec("slow"))
		again <- outcome{a, err}
	}()
	close(released)
	x, y := <-slow, <-again
	if x.err != nil || y.err != nil || x.a.process != y.a.process {
		t.Fatalf("%v and %v", x.err, y.err)
	}
	x.a.close()
	y.a.close()
}

func TestAFailedStartLeavesItsIDFree(t *testing.T) {
	table := NewTable(children, func() (map[string]string, map[string]string) { return nil, nil })
	_, err := table.start(t.Context(), &v1.ProcessSpec{Process: "x", Argv: []string{"no-such-command"}})
	apitest.Refused(t, err, codes.NotFound, "COMMAND_NOT_FOUND")
	a, err := table.start(t.Context(), &v1.ProcessSpec{Process: "x", Argv: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	a.close()
}

func TestRunningProcessesAreBounded(t *testing.T) {
	table := NewTable(children, func() (map[string]string, map[string]string) { return nil, nil })
	for n := range maxRunning - 1 {
		table.byID[fmt.Sprint(n)] = &Process{}
	}
	a, err := table.start(t.Context(), &v1.ProcessSpec{Process: "last", Argv: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	_, err = table.start(t.Context(), &v1.ProcessSpec{Argv: []string{"true"}})
	apitest.Refused(t, err, codes.ResourceExhausted, "QUOTA_EXCEEDED")
	// One that is known is found all the same.
	again, err := table.start(t.Context(), &v1.ProcessSpec{Process: "last", Argv: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	again.close()
	if err := a.process.child.SignalGroup(9); err != nil {
		t.Fatal(err)
	}
}

func TestAListOfAllProcessesIsNoLargerThanWhatIsRelayed(t *testing.T) {
	a := newAgent(t)
	for n, argv := range [][]string{
		append([]string{"true"}, make([]string, maxArguments-1)...), {"true", strings.Repeat("x", maxArgumentBytes/2)},
		append([]string{"true"}, strings.Split(strings.Repeat("x ", maxArguments-2), " ")...),
	} {
		a.output(&v1.ProcessSpec{Process: strings.Repeat("p", 63) + fmt.Sprint(n), Argv: argv})
	}
	list, err := a.client.ListProcesses(t.Context(), &v1.ListProcessesRequest{})
	if err != nil || len(list.GetProcesses()) != 3 {
		t.Fatal(list, err)
	}
	for _, p := range list.GetProcesses() {
		if all := (proto.Size(p) + 3) * (maxRunning + keptEnded); all > relayedBytes {
			t.Errorf("%d processes with arguments like %.20q take %d bytes", maxRunning+keptEnded, p.GetArgv(), all)
		}
	}
}
