// Command upstream is the outside world of Cofferdam's demo, tests and load tests: a TLS server under a CA of its own
// that echoes what it receives in every way a real service might, and writes each received request to a file, so that
// a test can prove what arrived and what did not.
//
//	upstream --dir DIR --listen 203.0.113.10:443 --name api.echo.test [--plain 203.0.113.10:80]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

type texts []string

func (t *texts) String() string { return strings.Join(*t, ",") }

func (t *texts) Set(value string) error {
	if value == "" {
		return errors.New("must not be empty")
	}
	*t = append(*t, value)
	return nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It prints one line that starts with READY once every listener accepts.
func run(ctx context.Context, args []string, out io.Writer) error {
	var listens, plains, names, faults texts
	flags := flag.NewFlagSet("upstream", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory for ca.pem, ca.key, requests.jsonl and www/ (served under /www/)")
	flags.Var(&listens, "listen", "address:port of a TLS listener (repeatable)")
	flags.Var(&plains, "plain", "address:port of a cleartext HTTP listener (repeatable)")
	flags.Var(&names, "name", "DNS name to hold a certificate for; the first is the default (repeatable)")
	flags.Var(&faults, "fault", "KIND=NAME: a name with a bad certificate, KIND is expired, self-signed or wrong-name (repeatable)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *dir == "" || len(listens)+len(plains) == 0 {
		return errors.New("--dir and at least one of --listen and --plain are needed")
	}
	if len(listens) > 0 && len(names) == 0 {
		return errors.New("--listen needs at least one --name")
	}
	certificates, err := openCertificates(*dir, names, faults)
	if err != nil {
		return err
	}
	record, err := openRecorder(*dir)
	if err != nil {
		return err
	}
	defer record.close()

	servers := newServers(handler(record, *dir), certificates)
	defer servers.close()
	for _, address := range listens {
		if err := servers.listenTLS(address); err != nil {
			return err
		}
	}
	for _, address := range plains {
		if err := servers.listenPlain(address); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "READY ca=%s listening=%s\n", certificates.authorityFile, strings.Join(servers.addresses(), ","))
	select {
	case <-ctx.Done():
		return nil
	case err := <-servers.failed:
		return err
	}
}
