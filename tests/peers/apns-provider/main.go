// Command apns-provider pushes by other people's clients of APNs: github.com/sideshow/apns2, and nanopush, the one
// inside nanomdm. It reads one job a line (JSON) and writes one result a line, so that a test of the emulated push
// service in sim/emulators can hold what strangers' code understood against what was meant.
//
// Usage: apns-provider HOST CERTIFICATE KEY, where HOST is the base URL that apns2 pushes to. nanopush always pushes to
// https://api.push.apple.com: it needs HTTPS_PROXY. Both trust what SSL_CERT_FILE says.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/micromdm/nanomdm/mdm"
	"github.com/micromdm/nanomdm/push"
	"github.com/micromdm/nanomdm/push/nanopush"
	"github.com/sideshow/apns2"
)

// job is one line of input.
type job struct {
	// Client is "apns2" or "nanopush".
	Client string `json:"client"`
	// Tokens are pushed to, Parallel at once (apns2; nanopush has its own mind).
	Tokens   []string `json:"tokens"`
	Parallel int      `json:"parallel"`
	// Magics are by token; the payload is {"mdm":"<magic>"}.
	Magics []string `json:"magics"`
	// Payload, if set, is sent as it stands (apns2).
	Payload *string `json:"payload"`
	// Headers of apns2's notification.
	Topic      string `json:"topic"`
	ID         string `json:"id"`
	CollapseID string `json:"collapse_id"`
	Priority   int    `json:"priority"`
	PushType   string `json:"push_type"`
	Expiration int64  `json:"expiration"`
	// Header is set over apns2's by the transport: name and value; Twice adds it a second time.
	Header []string `json:"header"`
	Twice  bool     `json:"twice"`
	// Method and Path replace apns2's; Empty takes its body away.
	Method string `json:"method"`
	Path   string `json:"path"`
	Empty  bool   `json:"empty"`
	// NoCertificate pushes without a client certificate.
	NoCertificate bool `json:"no_certificate"`
	// HTTP1 pushes by HTTP/1.1, with ALPN ("said") or without ("unsaid").
	HTTP1 string `json:"http1"`
}

// result is one push; a job gives one line with a list of them.
type result struct {
	Status    int    `json:"status"`
	ID        string `json:"id"`
	Reason    string `json:"reason"`
	Timestamp int64  `json:"timestamp"`
	Error     string `json:"error"`
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: apns-provider HOST CERTIFICATE KEY")
	}
	certificate, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	provider, err := nanopush.NewFactory().NewPushProvider(&certificate)
	if err != nil {
		log.Fatal(err)
	}
	bent := &bend{inner: &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		TLSClientConfig:   &tls.Config{Certificates: []tls.Certificate{certificate}},
		ForceAttemptHTTP2: true,
	}}
	client := apns2.NewClient(certificate)
	client.Host = os.Args[1]
	direct := client.HTTPClient.Transport
	anonymous := &http.Transport{ForceAttemptHTTP2: true}

	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var j job
		if err := json.Unmarshal(lines.Bytes(), &j); err != nil {
			log.Fatal(err)
		}
		var results []result
		if j.Client == "nanopush" {
			results = byNanopush(provider, &j)
		} else {
			client.HTTPClient.Transport = direct
			if len(j.Header) > 0 || j.Method != "" || j.Path != "" || j.Empty || os.Getenv("HTTPS_PROXY") != "" {
				bent.job, client.HTTPClient.Transport = &j, bent
			}
			if j.NoCertificate {
				client.HTTPClient.Transport = anonymous
			}
			if j.HTTP1 != "" {
				client.HTTPClient.Transport = old(&certificate, j.HTTP1 == "said")
			}
			results = byApns2(client, &j)
		}
		if err := out.Encode(results); err != nil {
			log.Fatal(err)
		}
	}
}

func byApns2(client *apns2.Client, j *job) []result {
	results := make([]result, len(j.Tokens))
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(j.Parallel, 1) {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for at := range next {
				results[at] = one(client, j, at)
			}
		}()
	}
	for at := range j.Tokens {
		next <- at
	}
	close(next)
	workers.Wait()
	return results
}

func one(client *apns2.Client, j *job, at int) result {
	n := &apns2.Notification{
		DeviceToken: j.Tokens[at],
		Topic:       j.Topic,
		ApnsID:      j.ID,
		CollapseID:  j.CollapseID,
		Priority:    j.Priority,
		PushType:    apns2.EPushType(j.PushType),
		Payload:     fmt.Sprintf(`{"mdm":%q}`, append(j.Magics, make([]string, at+1)...)[at]),
	}
	if j.PushType == "" {
		n.PushType = apns2.PushTypeMDM
	}
	if j.Payload != nil {
		n.Payload = *j.Payload
	}
	if j.Expiration != 0 {
		n.Expiration = time.Unix(j.Expiration, 0)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r, err := client.PushWithContext(ctx, n)
	if err != nil {
		return result{Error: err.Error()}
	}
	out := result{Status: r.StatusCode, ID: r.ApnsID, Reason: r.Reason}
	if !r.Timestamp.IsZero() {
		out.Timestamp = r.Timestamp.Unix()
	}
	return out
}

func byNanopush(provider push.PushProvider, j *job) []result {
	pushes := make([]*mdm.Push, len(j.Tokens))
	for at, token := range j.Tokens {
		pushes[at] = &mdm.Push{PushMagic: j.Magics[at]}
		if err := pushes[at].SetTokenString(token); err != nil {
			log.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	responses, err := provider.Push(ctx, pushes)
	if err != nil {
		return []result{{Error: err.Error()}}
	}
	results := make([]result, len(j.Tokens))
	for at, token := range j.Tokens {
		r := responses[token]
		switch {
		case r == nil:
			results[at].Error = "no response"
		case r.Err != nil:
			results[at] = result{ID: r.Id, Error: r.Err.Error()}
		default:
			results[at] = result{Status: 200, ID: r.Id}
		}
	}
	return results
}

// old speaks HTTP/1.1 only.
func old(certificate *tls.Certificate, said bool) http.RoundTripper {
	config := &tls.Config{Certificates: []tls.Certificate{*certificate}}
	if said {
		config.NextProtos = []string{"http/1.1"}
	}
	return &http.Transport{TLSClientConfig: config}
}

// bend changes a request as the job wants it, behind the client's back.
type bend struct {
	inner http.RoundTripper
	job   *job
}

func (b *bend) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if len(b.job.Header) == 2 {
		r.Header.Set(b.job.Header[0], b.job.Header[1])
		if b.job.Twice {
			r.Header.Add(b.job.Header[0], b.job.Header[1])
		}
	}
	if b.job.Method != "" {
		r.Method = b.job.Method
	}
	if b.job.Path != "" {
		r.URL.Path = b.job.Path
	}
	if b.job.Empty {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	return b.inner.RoundTrip(r)
}
