// A server that sends by FCM, made of Google's own library for Go: it sends what it is told in lines of JSON on standard
// input, and says in lines of JSON what the library made of the answers.
//
//	fcm-go URL PROJECT KEY_FILE
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"
)

// A line that comes in.
type job struct {
	// Each is sent by a request of its own, as the library does it.
	Messages []*messaging.Message `json:"messages"`
	// Whether they are only to be judged.
	Dry bool `json:"dry"`
}

// What became of one message.
type said struct {
	// Its name, if it was taken.
	Name string `json:"name,omitempty"`
	// Which of the library's questions about an error is answered yes.
	Kind string `json:"kind,omitempty"`
	// The error's text.
	Error string `json:"error,omitempty"`
}

var kinds = []struct {
	name string
	is   func(error) bool
}{
	{"unregistered", messaging.IsUnregistered},
	{"sender_id_mismatch", messaging.IsSenderIDMismatch},
	{"quota_exceeded", messaging.IsQuotaExceeded},
	{"third_party_auth", messaging.IsThirdPartyAuthError},
	{"invalid_argument", messaging.IsInvalidArgument},
	{"unavailable", messaging.IsUnavailable},
	{"internal", messaging.IsInternal},
}

func kind(err error) string {
	for _, kind := range kinds {
		if kind.is(err) {
			return kind.name
		}
	}
	return "other"
}

func run(ctx context.Context, client *messaging.Client, job job) ([]said, error) {
	send := client.SendEach
	if job.Dry {
		send = client.SendEachDryRun
	}
	answer, err := send(ctx, job.Messages)
	if err != nil {
		return nil, err
	}
	all := make([]said, len(answer.Responses))
	for n, response := range answer.Responses {
		if response.Success {
			all[n] = said{Name: response.MessageID}
		} else {
			all[n] = said{Kind: kind(response.Error), Error: response.Error.Error()}
		}
	}
	return all, nil
}

func serve() error {
	ctx := context.Background()
	url, project, key := os.Args[1], os.Args[2], os.Args[3]
	config := &firebase.Config{ProjectID: project}
	app, err := firebase.NewApp(ctx, config, option.WithCredentialsFile(key), option.WithEndpoint(url+"/v1"))
	if err != nil {
		return err
	}
	client, err := app.Messaging(ctx)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var job job
		if err := json.Unmarshal(lines.Bytes(), &job); err != nil {
			return err
		}
		all, err := run(ctx, client, job)
		if err != nil {
			return err
		}
		if err := out.Encode(all); err != nil {
			return err
		}
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: fcm-go URL PROJECT KEY_FILE")
		os.Exit(2)
	}
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
