// Command client asks for a URL as a Go program in a guest would, and prints the host that the answer names.
package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
)

func main() {
	if err := ask(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func ask(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	var body struct{ Host string }
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		return err
	}
	fmt.Println(body.Host)
	return nil
}
