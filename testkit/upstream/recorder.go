package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// received is one line of requests.jsonl: a request as it arrived, before it was answered.
type received struct {
	Time       time.Time   `json:"time"`
	Remote     string      `json:"remote"`
	TLS        bool        `json:"tls"`
	ServerName string      `json:"server_name,omitempty"`
	Protocol   string      `json:"protocol"`
	Method     string      `json:"method"`
	Host       string      `json:"host"`
	Path       string      `json:"path"`
	Query      string      `json:"query,omitempty"`
	Headers    http.Header `json:"headers"`
	Trailers   http.Header `json:"trailers,omitempty"`
	BodyBytes  int64       `json:"body_bytes"`
	BodySHA256 string      `json:"body_sha256"`
}

// recorder appends whole lines. A reader that follows the file sees complete lines in the order of arrival.
type recorder struct {
	mutex sync.Mutex
	file  *os.File
}

func openRecorder(dir string) (*recorder, error) {
	file, err := os.OpenFile(filepath.Join(dir, "requests.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &recorder{file: file}, nil
}

func (r *recorder) append(request received) error {
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r.mutex.Lock()
	defer r.mutex.Unlock()
	_, err = r.file.Write(append(line, '\n'))
	return err
}

func (r *recorder) close() error { return r.file.Close() }

func describe(request *http.Request, bodyBytes int64, bodySHA256 string) received {
	described := received{
		Time:       time.Now().UTC(),
		Remote:     request.RemoteAddr,
		TLS:        request.TLS != nil,
		Protocol:   request.Proto,
		Method:     request.Method,
		Host:       request.Host,
		Path:       request.URL.EscapedPath(),
		Query:      request.URL.RawQuery,
		Headers:    request.Header,
		Trailers:   request.Trailer,
		BodyBytes:  bodyBytes,
		BodySHA256: bodySHA256,
	}
	if request.TLS != nil {
		described.ServerName = request.TLS.ServerName
	}
	return described
}
