package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	downloadLimit = 1 << 30
	delayLimit    = 2 * time.Minute
)

// headers answers with the received request as JSON.
func headers(writer http.ResponseWriter, request *http.Request, _ []byte) {
	writer.Header().Set("Content-Type", "application/json")
	_, _ = writer.Write(described(request))
}

// echo gives the body back as it came and every header NAME as Echo-NAME.
func echo(writer http.ResponseWriter, request *http.Request, body []byte) {
	for name, values := range request.Header {
		for _, value := range values {
			writer.Header().Add("Echo-"+name, value)
		}
	}
	writer.Header().Set("Content-Type", "application/octet-stream")
	_, _ = writer.Write(body)
}

// trailers echoes Authorization in a trailer, where scrubbers that stop at the body do not look.
func trailers(writer http.ResponseWriter, request *http.Request, _ []byte) {
	writer.Header().Set("Trailer", "Echo-Authorization")
	writer.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(writer, "see the trailer\n")
	writer.(http.Flusher).Flush()
	writer.Header().Set("Echo-Authorization", request.Header.Get("Authorization"))
}

// serverSentEvents sends `events` events (default 3), one each `interval` (default 10ms), each with the Authorization
// value and its number.
func serverSentEvents(writer http.ResponseWriter, request *http.Request, _ []byte) {
	events, err := number(request, "events", 3, 1, 100_000)
	if err != nil {
		refuse(writer, err)
		return
	}
	interval, err := delay(request, "interval", 10*time.Millisecond)
	if err != nil {
		refuse(writer, err)
		return
	}
	writer.Header().Set("Content-Type", "text/event-stream")
	writer.Header().Set("Cache-Control", "no-store")
	for event := range events {
		if event > 0 && !pause(request, interval) {
			return
		}
		if _, err := fmt.Fprintf(writer, "id: %d\ndata: %s\n\n", event, request.Header.Get("Authorization")); err != nil {
			return
		}
		writer.(http.Flusher).Flush()
	}
}

// gzipped is headers in gzip, whether or not the client asked for it.
func gzipped(writer http.ResponseWriter, request *http.Request, _ []byte) {
	writer.Header().Set("Content-Type", "application/json")
	writer.Header().Set("Content-Encoding", "gzip")
	compressor := gzip.NewWriter(writer)
	_, _ = compressor.Write(described(request))
	_ = compressor.Close()
}

// chunked echoes Authorization in chunks of `split` bytes (default 7), each flushed, so that the value lies across chunk
// borders (HTTP/1.1) or DATA frames (HTTP/2).
func chunked(writer http.ResponseWriter, request *http.Request, _ []byte) {
	split, err := number(request, "split", 7, 1, 1<<16)
	if err != nil {
		refuse(writer, err)
		return
	}
	writer.Header().Set("Content-Type", "text/plain")
	rest := []byte("<" + request.Header.Get("Authorization") + ">")
	for len(rest) > 0 {
		piece := rest[:min(split, len(rest))]
		rest = rest[len(piece):]
		if _, err := writer.Write(piece); err != nil {
			return
		}
		writer.(http.Flusher).Flush()
	}
}

// encoded echoes the credential in another form: `form` is base64, base64url, hex, hex-upper or percent. `shift` (0 to
// 2) puts so many bytes before it, which gives its three base64 alignments.
func encoded(writer http.ResponseWriter, request *http.Request, _ []byte) {
	shift, err := number(request, "shift", 0, 0, 2)
	if err != nil {
		refuse(writer, err)
		return
	}
	plain := []byte("::"[:shift] + credential(request))
	var text string
	switch form := request.URL.Query().Get("form"); form {
	case "base64":
		text = base64.StdEncoding.EncodeToString(plain)
	case "base64url":
		text = base64.RawURLEncoding.EncodeToString(plain)
	case "hex":
		text = hex.EncodeToString(plain)
	case "hex-upper":
		text = strings.ToUpper(hex.EncodeToString(plain))
	case "percent":
		text = percentEncoded(plain)
	default:
		refuse(writer, fmt.Errorf("form %q: want base64, base64url, hex, hex-upper or percent", form))
		return
	}
	writer.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(writer, text+"\n")
}

// percentEncoded escapes all but RFC 3986's unreserved characters.
func percentEncoded(plain []byte) string {
	var text strings.Builder
	for _, b := range plain {
		if b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || strings.IndexByte("-._~", b) >= 0 {
			text.WriteByte(b)
		} else {
			fmt.Fprintf(&text, "%%%02X", b)
		}
	}
	return text.String()
}

// errorPage is an HTML page with status `status` (default 500) that shows the request, as debug pages do.
func errorPage(writer http.ResponseWriter, request *http.Request, body []byte) {
	status, err := number(request, "status", 500, 400, 599)
	if err != nil {
		refuse(writer, err)
		return
	}
	writer.Header().Set("Content-Type", "text/html; charset=utf-8")
	writer.WriteHeader(status)
	_, _ = fmt.Fprintf(writer, "<!doctype html><h1>%d</h1><pre>%s\n%s</pre>\n",
		status, html.EscapeString(string(described(request))), html.EscapeString(string(body)))
}

// download sends /bytes/SIZE: SIZE bytes that depend on SIZE alone, with their SHA-256 in the Content-Sha256 header. `rate`
// is bytes per second (0: as fast as it goes), for tests that need a download under way.
func download(writer http.ResponseWriter, request *http.Request, _ []byte) {
	size, err := strconv.ParseInt(request.PathValue("size"), 10, 64)
	if err != nil || size < 0 || size > downloadLimit {
		refuse(writer, fmt.Errorf("size %q: want 0 to %d", request.PathValue("size"), downloadLimit))
		return
	}
	rate, err := number(request, "rate", 0, 0, 1<<30)
	if err != nil {
		refuse(writer, err)
		return
	}
	hash := sha256.New()
	_, _ = io.Copy(hash, content(size))
	writer.Header().Set("Content-Type", "application/octet-stream")
	writer.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	writer.Header().Set("Content-Sha256", hex.EncodeToString(hash.Sum(nil)))
	if rate == 0 {
		_, _ = io.Copy(writer, content(size))
		return
	}
	const steps = 20
	source := content(size)
	for {
		sent, err := io.CopyN(writer, source, int64(max(1, rate/steps)))
		if err != nil || sent == 0 {
			return
		}
		writer.(http.Flusher).Flush()
		if !pause(request, time.Second/steps) {
			return
		}
	}
}

// content is a repeatable stream that does not compress, so that lengths on the wire mean something.
func content(size int64) io.Reader {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("cofferdam %d", size))
	return io.LimitReader(rand.NewChaCha8(seed), size)
}

// redirect answers with `status` (default 302) and `to` as Location.
func redirect(writer http.ResponseWriter, request *http.Request, _ []byte) {
	status, err := number(request, "status", http.StatusFound, 300, 399)
	if err != nil {
		refuse(writer, err)
		return
	}
	writer.Header().Set("Location", request.URL.Query().Get("to"))
	writer.WriteHeader(status)
}

// slow answers as headers does, `delay` (default 1s) after the request arrived.
func slow(writer http.ResponseWriter, request *http.Request, _ []byte) {
	wait, err := delay(request, "delay", time.Second)
	if err != nil {
		refuse(writer, err)
		return
	}
	if pause(request, wait) {
		headers(writer, request, nil)
	}
}

func notFound(writer http.ResponseWriter, request *http.Request, body []byte) {
	writer.WriteHeader(http.StatusNotFound)
	_, _ = io.Copy(writer, bytes.NewReader(described(request)))
}

// pause is false when the client left first.
func pause(request *http.Request, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-request.Context().Done():
		return false
	}
}

func refuse(writer http.ResponseWriter, err error) {
	http.Error(writer, err.Error(), http.StatusBadRequest)
}

func number(request *http.Request, name string, fallback, least, most int) (int, error) {
	text := request.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < least || value > most {
		return 0, fmt.Errorf("%s %q: want %d to %d", name, text, least, most)
	}
	return value, nil
}

func delay(request *http.Request, name string, fallback time.Duration) (time.Duration, error) {
	text := request.URL.Query().Get(name)
	if text == "" {
		return fallback, nil
	}
	value, err := time.ParseDuration(text)
	if err != nil || value < 0 || value > delayLimit {
		return 0, fmt.Errorf("%s %q: want 0s to %s", name, text, delayLimit)
	}
	return value, nil
}

// token is a token endpoint (RFC 6749 section 4.4). Who calls itself `refused` is refused, with its own secret in the text. A
// token has the ends of the secret, so that who searches for copies of one finds those of the other.
func token(writer http.ResponseWriter, request *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	if err != nil || form.Get("grant_type") != "client_credentials" {
		tokenError(writer, http.StatusBadRequest, "unsupported_grant_type", "")
		return
	}
	id, secret, basic := request.BasicAuth()
	if basic {
		id, _ = url.QueryUnescape(id)
		secret, err = url.QueryUnescape(secret)
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if err != nil || id == "refused" || len(secret) < 16 {
		tokenError(writer, http.StatusUnauthorized, "invalid_client", "not "+secret)
		return
	}
	sum := sha256.Sum256([]byte(secret))
	middle := (len(secret) - 8) / 2
	writeJSON(writer, map[string]any{
		"access_token": secret[:middle] + hex.EncodeToString(sum[:4]) + secret[middle+8:],
		"token_type":   "Bearer",
		"expires_in":   3600,
		"scope":        form.Get("scope"),
	})
}

func tokenError(writer http.ResponseWriter, status int, code, description string) {
	writer.Header().Set("Content-Type", "application/json")
	writer.WriteHeader(status)
	_ = json.NewEncoder(writer).Encode(map[string]string{"error": code, "error_description": description})
}
