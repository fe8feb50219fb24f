// Package ninechecks is a client of a running mesh in Go, written against the published protos alone. Its test is the main
// job: what `./cofferdam demo` claims, as nine checks.
package ninechecks

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"cofferdam.dev/testkit/go/gen/cofferdamv1"
)

// mesh is the environment that `cofferdam env` and testkit/run.sh describe, and one tenant's clients.
type mesh struct {
	state, stage, upstream string
	// Of the scheduler; the others' lie at fixed distances.
	port string

	sandboxes cofferdamv1.SandboxServiceClient
	processes cofferdamv1.ProcessServiceClient
	secrets   cofferdamv1.SecretServiceClient
	audit     cofferdamv1.AuditServiceClient

	connections []*grpc.ClientConn
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

func openMesh() (*mesh, error) {
	found := map[string]string{}
	var missing []string
	for _, name := range []string{"API", "BROKER", "CA", "TOKEN", "SECRETS_TOKEN", "STATE", "STAGE", "UPSTREAM_DIR", "CANARY"} {
		if found[name] = os.Getenv("COFFERDAM_" + name); found[name] == "" {
			missing = append(missing, "COFFERDAM_"+name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("not set: %s; testkit/run.sh sets them", strings.Join(missing, ", "))
	}
	authority, err := os.ReadFile(found["CA"])
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", found["CA"])
	}
	m := &mesh{state: found["STATE"], stage: found["STAGE"], upstream: found["UPSTREAM_DIR"]}
	_, m.port, _ = strings.Cut(found["API"], ":")
	dial := func(address, token string) *grpc.ClientConn {
		connection, dialError := grpc.NewClient(address,
			grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13})),
			grpc.WithPerRPCCredentials(bearer(token)))
		err = errors.Join(err, dialError)
		m.connections = append(m.connections, connection)
		return connection
	}
	api := dial(found["API"], found["TOKEN"])
	broker := dial(found["BROKER"], found["TOKEN"])
	vault := dial(found["BROKER"], found["SECRETS_TOKEN"])
	if err != nil {
		return nil, err
	}
	m.sandboxes = cofferdamv1.NewSandboxServiceClient(api)
	m.processes = cofferdamv1.NewProcessServiceClient(api)
	m.audit = cofferdamv1.NewAuditServiceClient(broker)
	m.secrets = cofferdamv1.NewSecretServiceClient(vault)
	return m, nil
}

func (m *mesh) close() {
	for _, connection := range m.connections {
		_ = connection.Close()
	}
}

// newValue makes a secret that begins and ends as all of the run's do, so that the search at its end finds it.
func newValue() (string, error) {
	head, tail, found := strings.Cut(os.Getenv("COFFERDAM_CANARY"), ":")
	if !found {
		return "", errors.New("COFFERDAM_CANARY is not HEAD:TAIL")
	}
	middle := make([]byte, 8)
	if _, err := rand.Read(middle); err != nil {
		return "", err
	}
	return head + hex.EncodeToString(middle) + tail, nil
}

// refusal is what a refused call said: its status code and the reason of its ErrorInfo.
func refusal(err error) (codes.Code, string) {
	answer := status.Convert(err)
	for _, detail := range answer.Details() {
		if info, isInfo := detail.(*errdetails.ErrorInfo); isInfo && info.Domain == "cofferdam" {
			return answer.Code(), info.Reason
		}
	}
	return answer.Code(), ""
}
