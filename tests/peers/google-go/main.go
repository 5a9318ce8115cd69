// An EMM's server at a Google that is played, with Google's own Go libraries: `google-go <case> <url> <key file>`.
// Devices are played by the test that starts it: a line of JSON asks for one, a line answers.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"strings"
)

const (
	project      = "p1"
	topic        = "projects/" + project + "/topics/amapi"
	subscription = "projects/" + project + "/subscriptions/amapi"
)

var (
	ctx    = context.Background()
	heard  = bufio.NewReader(os.Stdin)
	played = map[string]func(url, key string){
		"management": management,
		"errors":     refusals,
		"push":       push,
		"pull":       pull,
		"keepalive":  keepalive,
		"large":      large,
		"pstest":     beside,
	}
)

func main() {
	if len(os.Args) != 4 || played[os.Args[1]] == nil {
		log.Fatal("usage: google-go <case> <url> <key file>")
	}
	// The libraries find Pub/Sub as they find Google's emulator.
	os.Setenv("PUBSUB_EMULATOR_HOST", strings.TrimPrefix(os.Args[2], "http://"))
	played[os.Args[1]](os.Args[2], os.Args[3])
}

// what a device is asked for, or has done.
type what map[string]any

// device has the test play one.
func device(act string, of what) what {
	of["act"] = act
	line, err := json.Marshal(of)
	check(err)
	fmt.Println(string(line))
	answer, err := heard.ReadBytes('\n')
	check(err)
	came := what{}
	check(json.Unmarshal(answer, &came))
	return came
}

func (w what) text(field string) string {
	text, _ := w[field].(string)
	return text
}

// check ends the program with where it failed.
func check(err error) {
	if err != nil {
		fail(2, "%v", err)
	}
}

// demand is check for what has to be true.
func demand(holds bool, format string, details ...any) {
	if !holds {
		fail(2, format, details...)
	}
}

func fail(depth int, format string, details ...any) {
	_, file, line, _ := runtime.Caller(depth)
	log.Fatalf("%s:%d: %s", file, line, fmt.Sprintf(format, details...))
}
