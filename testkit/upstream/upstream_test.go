package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const value = "canary-Value+/=0123456789abcdef"

type world struct {
	t     *testing.T
	dir   string
	tls   string
	plain string
	stop  func() error
}

func start(t *testing.T, dir string) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{
			"--dir", dir, "--listen", "127.0.0.1:0", "--plain", "127.0.0.1:0",
			"--name", "api.echo.test", "--name", "other.echo.test", "--fault", "expired=expired.echo.test",
			"--fault", "self-signed=self.echo.test", "--fault", "wrong-name=wrong.echo.test",
		}, writer)
		_ = writer.CloseWithError(io.EOF)
		ended <- err
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	if err != nil {
		t.Fatalf("no READY line: %v, %v", err, <-ended)
	}
	ready := regexp.MustCompile(`^READY ca=(\S+) listening=(\S+),(\S+)\n$`).FindStringSubmatch(line)
	if ready == nil || ready[1] != filepath.Join(dir, "ca.pem") {
		t.Fatalf("unexpected READY line %q", line)
	}
	up := &world{t: t, dir: dir, tls: ready[2], plain: ready[3]}
	up.stop = func() error { cancel(); return <-ended }
	t.Cleanup(func() { cancel() })
	return up
}

func (w *world) client(http2 bool) *http.Client {
	authority, err := os.ReadFile(filepath.Join(w.dir, "ca.pem"))
	if err != nil {
		w.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		w.t.Fatal("ca.pem holds no certificate")
	}
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:  http2,
		DisableCompression: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			target := w.plain
			if strings.HasSuffix(address, ":443") {
				target = w.tls
			}
			return new(net.Dialer).DialContext(ctx, network, target)
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (w *world) call(client *http.Client, method, url, body string) (*http.Response, string) {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+value)
	answer, err := client.Do(request)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer, string(text)
}

func (w *world) requests() []received {
	w.t.Helper()
	file, err := os.Open(filepath.Join(w.dir, "requests.jsonl"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	var all []received
	for decoder := json.NewDecoder(file); ; {
		var request received
		if err := decoder.Decode(&request); err == io.EOF {
			return all
		} else if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, request)
	}
}

func TestEveryEchoCarriesTheCredentialBackInItsOwnForm(t *testing.T) {
	up := start(t, t.TempDir())
	padded := func(shift int) string {
		return base64.StdEncoding.EncodeToString([]byte("::"[:shift] + value))
	}
	for _, http2 := range []bool{false, true} {
		client := up.client(http2)
		for path, want := range map[string]string{
			"/headers":                      `"Authorization":["Bearer ` + value + `"]`,
			"/chunked?split=3":              "<Bearer " + value + ">",
			"/encoded?form=base64":          padded(0),
			"/encoded?form=base64&shift=1":  padded(1),
			"/encoded?form=base64&shift=2":  padded(2),
			"/encoded?form=hex":             hex.EncodeToString([]byte(value)),
			"/encoded?form=hex-upper":       strings.ToUpper(hex.EncodeToString([]byte(value))),
			"/encoded?form=percent":         "canary-Value%2B%2F%3D0123456789abcdef",
			"/error?status=503":             value,
			"/sse?events=2&interval=1ms":    "id: 1\ndata: Bearer " + value + "\n\n",
			"/slow?delay=1ms":               value,
			"/no-such-page":                 value,
			"/encoded?form=base64url":       base64.RawURLEncoding.EncodeToString([]byte(value)),
			"/sse?events=1&interval=1ms&x=": "id: 0\ndata: Bearer " + value + "\n\n",
		} {
			answer, text := up.call(client, "GET", "https://api.echo.test"+path, "")
			if !strings.Contains(text, want) {
				t.Errorf("%s %s: answer %q lacks %q", answer.Proto, path, text, want)
			}
			if http2 != (answer.ProtoMajor == 2) {
				t.Errorf("%s was served over %s", path, answer.Proto)
			}
		}
	}
}

func TestEchoGivesBodyAndHeadersBack(t *testing.T) {
	up := start(t, t.TempDir())
	answer, text := up.call(up.client(false), "POST", "https://api.echo.test/echo", "the body")
	if text != "the body" || answer.Header.Get("Echo-Authorization") != "Bearer "+value {
		t.Errorf("got %q and %q", text, answer.Header.Get("Echo-Authorization"))
	}
}

func TestTrailersCarryTheCredential(t *testing.T) {
	up := start(t, t.TempDir())
	for _, http2 := range []bool{false, true} {
		answer, text := up.call(up.client(http2), "GET", "https://api.echo.test/trailers", "")
		if answer.Trailer.Get("Echo-Authorization") != "Bearer "+value || strings.Contains(text, value) {
			t.Errorf("%s: trailer %q, body %q", answer.Proto, answer.Trailer, text)
		}
	}
}

func TestGzipIsSentUnasked(t *testing.T) {
	up := start(t, t.TempDir())
	answer, text := up.call(up.client(false), "GET", "https://api.echo.test/gzip", "")
	if answer.Header.Get("Content-Encoding") != "gzip" || strings.Contains(text, value) {
		t.Fatalf("not compressed: %q", text)
	}
	decompressor, err := gzip.NewReader(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(decompressor)
	if err != nil || !bytes.Contains(plain, []byte(value)) {
		t.Errorf("%v: %q lacks the credential", err, plain)
	}
}

func TestChunksEndWhereAsked(t *testing.T) {
	up := start(t, t.TempDir())
	connection, err := net.Dial("tcp4", up.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	_, err = io.WriteString(connection,
		"GET /chunked?split=4 HTTP/1.1\r\nHost: api.echo.test\r\nAuthorization: 0123456789\r\nConnection: close\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(connection)
	if err != nil || !bytes.HasSuffix(raw, []byte("\r\n\r\n4\r\n<012\r\n4\r\n3456\r\n4\r\n789>\r\n0\r\n\r\n")) {
		t.Errorf("%v: chunks are %q", err, raw)
	}
}

func TestDownloadMatchesItsChecksum(t *testing.T) {
	up := start(t, t.TempDir())
	for _, path := range []string{"/bytes/1000000", "/bytes/1000?rate=100000", "/bytes/0"} {
		answer, text := up.call(up.client(false), "GET", "https://api.echo.test"+path, "")
		sum := sha256.Sum256([]byte(text))
		if answer.Header.Get("Content-Sha256") != hex.EncodeToString(sum[:]) || int64(len(text)) != answer.ContentLength {
			t.Errorf("%s: %d bytes do not match %q", path, len(text), answer.Header)
		}
	}
}

func TestUploadIsHashedAndRecorded(t *testing.T) {
	up := start(t, t.TempDir())
	body := strings.Repeat("upload ", 100_000)
	_, text := up.call(up.client(true), "PUT", "https://other.echo.test/upload?x=1", body)
	sum := sha256.Sum256([]byte(body))
	want := hex.EncodeToString(sum[:])
	if !strings.Contains(text, want) {
		t.Errorf("answer %q lacks %s", text, want)
	}
	last := up.requests()[0]
	if last.BodySHA256 != want || last.BodyBytes != int64(len(body)) || last.Method != "PUT" || last.Path != "/upload" ||
		last.Query != "x=1" || last.Host != "other.echo.test" || last.ServerName != "other.echo.test" || !last.TLS ||
		last.Headers.Get("Authorization") != "Bearer "+value || last.Remote == "" {
		t.Errorf("recorded %+v", last)
	}
}

func TestEveryRequestIsOnRecordBeforeItsAnswer(t *testing.T) {
	up := start(t, t.TempDir())
	for i, url := range []string{"http://api.echo.test/headers", "https://api.echo.test/nowhere", "https://api.echo.test/bytes/x"} {
		up.call(up.client(false), "GET", url, "")
		if all := up.requests(); len(all) != i+1 || !strings.HasSuffix(url, all[i].Path) || all[i].TLS != strings.HasPrefix(url, "https") {
			t.Fatalf("after %s the record is %+v", url, all)
		}
	}
}

func TestARestartKeepsAuthorityAndRecord(t *testing.T) {
	dir := t.TempDir()
	first := start(t, dir)
	client := first.client(false)
	first.call(client, "GET", "https://api.echo.test/headers", "")
	before, _ := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir)
	second.call(second.client(false), "GET", "https://api.echo.test/headers", "")
	after, _ := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if !bytes.Equal(before, after) || len(second.requests()) != 2 {
		t.Errorf("the CA changed or the record has %d lines", len(second.requests()))
	}
}

func TestFaultyCertificatesAreRefusedByAVerifyingClient(t *testing.T) {
	up := start(t, t.TempDir())
	for host, want := range map[string]string{
		"expired.echo.test": "expired",
		"self.echo.test":    "unknown authority",
		"wrong.echo.test":   "not-wrong.echo.test",
	} {
		_, err := up.client(false).Get("https://" + host + "/headers")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected it to speak of %q", host, err, want)
		}
	}
	if len(up.requests()) != 0 {
		t.Errorf("a request got through: %+v", up.requests())
	}
}

func TestRedirectAndFilesAndBadQueries(t *testing.T) {
	up := start(t, t.TempDir())
	if err := os.MkdirAll(filepath.Join(up.dir, "www", "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(up.dir, "www", "a", "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	client := up.client(false)
	if answer, text := up.call(client, "GET", "https://api.echo.test/www/a/file", ""); answer.StatusCode != 200 || text != "content" {
		t.Errorf("file: %d %q", answer.StatusCode, text)
	}
	if answer, _ := up.call(client, "GET", "https://api.echo.test/www/../ca.key", ""); answer.StatusCode == 200 {
		t.Error("a path outside www was served")
	}
	answer, _ := up.call(client, "GET", "https://api.echo.test/redirect?status=307&to=https://evil.test/", "")
	if answer.StatusCode != 307 || answer.Header.Get("Location") != "https://evil.test/" {
		t.Errorf("redirect: %d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	for _, path := range []string{"/bytes/-1", "/bytes/many", "/chunked?split=0", "/encoded?form=rot13", "/slow?delay=3h", "/error?status=200"} {
		if answer, _ := up.call(client, "GET", "https://api.echo.test"+path, ""); answer.StatusCode != 400 {
			t.Errorf("%s: %d, expected 400", path, answer.StatusCode)
		}
	}
}

func TestNonsenseOnTheCommandLineIsRefused(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"--dir", t.TempDir()},
		{"--dir", t.TempDir(), "--listen", "127.0.0.1:0"},
		{"--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--name", ""},
		{"--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--name", "a.test", "--fault", "odd=b.test"},
		{"--dir", t.TempDir(), "--listen", "127.0.0.1:0", "--name", "a.test", "more"},
		{"--dir", t.TempDir(), "--plain", "256.0.0.1:0"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), args, &out); err == nil || out.Len() > 0 {
			t.Errorf("%q was taken: %v, %q", args, err, out.String())
		}
	}
}

func TestATokenIsGivenForAClientsSecret(t *testing.T) {
	up := start(t, t.TempDir())
	for _, basic := range []bool{true, false} {
		form := url.Values{"grant_type": {"client_credentials"}}
		if !basic {
			form.Set("client_id", "me")
			form.Set("client_secret", value)
		}
		request, err := http.NewRequest(http.MethodPost, "http://"+up.plain+"/oauth/token", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if basic {
			request.SetBasicAuth("me", url.QueryEscape(value))
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		var given struct {
			Token string `json:"access_token"`
		}
		if err := json.NewDecoder(answer.Body).Decode(&given); err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if len(given.Token) != len(value) || given.Token == value || given.Token[:8] != value[:8] {
			t.Errorf("basic %v: the token is %q, expected one like the secret", basic, given.Token)
		}
	}
}
