package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"path/filepath"
	"strings"
)

// Larger bodies are refused, except on /upload, which keeps none.
const bodyLimit = 64 << 20

type endpoint func(writer http.ResponseWriter, request *http.Request, body []byte)

// handler serves every endpoint. A request is on record before the first byte of its answer.
func handler(record *recorder, dir string) http.Handler {
	mux := http.NewServeMux()
	for pattern, serve := range map[string]endpoint{
		"/headers":      headers,
		"/echo":         echo,
		"/trailers":     trailers,
		"/sse":          serverSentEvents,
		"/gzip":         gzipped,
		"/chunked":      chunked,
		"/encoded":      encoded,
		"/error":        errorPage,
		"/bytes/{size}": download,
		"/redirect":     redirect,
		"/oauth/token":  token,
		"/slow":         slow,
		"/":             notFound,
	} {
		mux.Handle(pattern, buffered(record, serve))
	}
	mux.Handle("/upload", upload(record))
	files := http.StripPrefix("/www/", http.FileServer(http.Dir(filepath.Join(dir, "www"))))
	mux.Handle("/www/", buffered(record, func(writer http.ResponseWriter, request *http.Request, _ []byte) {
		files.ServeHTTP(writer, request)
	}))
	return mux
}

func buffered(record *recorder, serve endpoint) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(writer, request.Body, bodyLimit))
		if err != nil {
			status := http.StatusBadRequest
			if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(writer, err.Error(), status)
			return
		}
		sum := sha256.Sum256(body)
		if !recorded(record, describe(request, int64(len(body)), hex.EncodeToString(sum[:])), writer) {
			return
		}
		serve(writer, request, body)
	})
}

// upload hashes without keeping, for bodies of any size.
func upload(record *recorder) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		hash := sha256.New()
		size, err := io.Copy(hash, request.Body)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadRequest)
			return
		}
		sum := hex.EncodeToString(hash.Sum(nil))
		if recorded(record, describe(request, size, sum), writer) {
			writeJSON(writer, map[string]any{"size": size, "sha256": sum})
		}
	})
}

// recorded answers 500 itself where the record cannot be written: a test must never miss a request that was served.
func recorded(record *recorder, request received, writer http.ResponseWriter) bool {
	if err := record.append(request); err != nil {
		log.Printf("record: %v", err)
		http.Error(writer, "the request could not be recorded", http.StatusInternalServerError)
		return false
	}
	return true
}

func writeJSON(writer http.ResponseWriter, value any) {
	writer.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
}

// described is the request as JSON, for answers that echo it.
func described(request *http.Request) []byte {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(map[string]any{
		"method":   request.Method,
		"host":     request.Host,
		"path":     request.URL.EscapedPath(),
		"query":    request.URL.RawQuery,
		"protocol": request.Proto,
		"headers":  request.Header,
	})
	return text.Bytes()
}

// credential is the Authorization value without its scheme.
func credential(request *http.Request) string {
	value := request.Header.Get("Authorization")
	if _, rest, found := strings.Cut(value, " "); found {
		return rest
	}
	return value
}
