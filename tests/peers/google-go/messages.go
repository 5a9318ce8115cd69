package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	amapi "google.golang.org/api/androidmanagement/v1"
	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
)

const (
	publisher = "serviceAccount:android-cloud-policy@system.gserviceaccount.com"
	// patience ends a wait for what has to come, so that a failure is one.
	patience = 4 * time.Minute
)

// granted is a client of Pub/Sub, with a topic to which Google may publish.
func granted(options ...option.ClientOption) *pubsub.Client {
	client, err := pubsub.NewClient(ctx, project, options...)
	check(err)
	_, err = client.TopicAdminClient.CreateTopic(ctx, &pb.Topic{Name: topic})
	check(err)
	policy, err := client.TopicAdminClient.GetIamPolicy(ctx, &iampb.GetIamPolicyRequest{Resource: topic})
	check(err)
	policy.Bindings = append(policy.Bindings, &iampb.Binding{Role: "roles/pubsub.publisher", Members: []string{publisher}})
	_, err = client.TopicAdminClient.SetIamPolicy(ctx, &iampb.SetIamPolicyRequest{Resource: topic, Policy: policy})
	check(err)
	return client
}

func subscribed(client *pubsub.Client, of *pb.Subscription) {
	of.Name, of.Topic = subscription, topic
	_, err := client.SubscriptionAdminClient.CreateSubscription(ctx, of)
	check(err)
}

// pull hears by a stream what happens to an enterprise and its devices, each in its own type.
func pull(url, key string) {
	client := granted()
	subscribed(client, &pb.Subscription{})
	service := android(url, key)
	name := signUp(service)
	kinds := []string{"ENROLLMENT", "STATUS_REPORT", "COMMAND", "USAGE_LOGS"}
	hears := &amapi.Enterprise{PubsubTopic: topic, EnabledNotificationTypes: kinds}
	do(service.Enterprises.Patch(name, hears).UpdateMask("pubsubTopic,enabledNotificationTypes"))
	do(service.Enterprises.Policies.Patch(name+"/policies/p", &amapi.Policy{}))
	one := enrolled(service, name, "p", "a")
	device("report", what{"device": one, "applied": 1, "report": what{"policyCompliant": true}})
	lock := do(service.Enterprises.Devices.IssueCommand(one, &amapi.Command{Type: "LOCK"}))
	device("done", what{"operation": lock.Name})
	event := what{"eventId": "1", "eventTime": "2026-01-05T08:00:00Z", "eventType": "OS_STARTUP", "osStartupEvent": what{}}
	device("log", what{"device": one, "events": []what{event}})
	device("leave", what{"device": one})
	upgrade := do(service.Enterprises.GenerateEnterpriseUpgradeUrl(name, &amapi.GenerateEnterpriseUpgradeUrlRequest{}))
	_, err := http.Get(upgrade.Url)
	check(err)

	var mutex sync.Mutex
	var came []string
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = client.Subscriber(subscription).Receive(until, func(_ context.Context, message *pubsub.Message) {
		mutex.Lock()
		defer mutex.Unlock()
		kind := message.Attributes["notificationType"]
		came = append(came, kind)
		switch kind {
		case "test":
		case "COMMAND":
			operation := amapi.Operation{}
			strict(message.Data, &operation)
			demand(operation.Name == lock.Name && command(operation.Metadata).Type == "LOCK", "%s", message.Data)
		case "USAGE_LOGS":
			strict(message.Data, &amapi.BatchUsageLogEvents{})
		case "ENTERPRISE_UPGRADE":
			strict(message.Data, &amapi.EnterpriseUpgradeEvent{})
		default:
			of := amapi.Device{}
			strict(message.Data, &of)
			demand(of.Name == one, "%s", message.Data)
		}
		message.Ack()
		if len(came) == 7 {
			cancel()
		}
	})
	check(err)
	slices.Sort(came)
	all := "COMMAND ENROLLMENT ENTERPRISE_UPGRADE STATUS_REPORT STATUS_REPORT USAGE_LOGS test"
	demand(strings.Join(came, " ") == all, "%v", came)
}

// elsewhere sends requests to where Google is played, whatever host they are for.
type elsewhere struct{ host string }

func (e elsewhere) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.URL.Scheme, request.URL.Host = "http", e.host
	return http.DefaultTransport.RoundTrip(request)
}

// push takes messages at an endpoint: refused once they come again, with a token that the library believes.
func push(at, _ string) {
	client := granted()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	type post struct {
		bearer string
		body   []byte
	}
	posts := make(chan post, 10)
	var count atomic.Int32
	go http.Serve(listener, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		status := http.StatusNoContent
		if count.Add(1) == 1 {
			status = http.StatusServiceUnavailable
		}
		answer.WriteHeader(status)
		posts <- post{strings.TrimPrefix(request.Header.Get("Authorization"), "Bearer "), body}
	}))
	account := &pb.PushConfig_OidcToken{ServiceAccountEmail: "push@p1.iam.gserviceaccount.com", Audience: "emm"}
	endpoint := "http://" + listener.Addr().String() + "/push"
	method := &pb.PushConfig_OidcToken_{OidcToken: account}
	subscribed(client, &pb.Subscription{PushConfig: &pb.PushConfig{PushEndpoint: endpoint, AuthenticationMethod: method}})
	sent := &pubsub.Message{Data: []byte("data"), Attributes: map[string]string{"notificationType": "STATUS_REPORT"}}
	id, err := client.Publisher(topic).Publish(ctx, sent).Get(ctx)
	check(err)
	first, second := <-posts, <-posts
	demand(string(first.body) == string(second.body), "the same message, not %s and %s", first.body, second.body)
	body := struct {
		Message struct {
			Data, MessageID string
			Attributes      map[string]string
			PublishTime     time.Time
		}
		Subscription string
	}{}
	check(json.Unmarshal(second.body, &body))
	data, err := base64.StdEncoding.DecodeString(body.Message.Data)
	check(err)
	demand(string(data) == "data" && body.Message.MessageID == id && body.Subscription == subscription, "%s", second.body)
	demand(body.Message.Attributes["notificationType"] == "STATUS_REPORT" && !body.Message.PublishTime.IsZero(), "%s", second.body)
	here, err := url.Parse(at)
	check(err)
	validator, err := idtoken.NewValidator(ctx, option.WithHTTPClient(&http.Client{Transport: elsewhere{here.Host}}))
	check(err)
	payload, err := validator.Validate(ctx, second.bearer, "emm")
	check(err)
	demand(payload.Issuer == "https://accounts.google.com" && payload.Claims["email"] == account.ServiceAccountEmail, "%v", payload)
	_, err = validator.Validate(ctx, second.bearer, "somebody else")
	demand(err != nil, "another audience was believed")
	// A byte from the middle of the signature; the last one has bits that mean nothing.
	forged := []byte(second.bearer)
	forged[len(forged)-100] ^= 1
	_, err = validator.Validate(ctx, string(forged), "emm")
	demand(err != nil, "another signature was believed")
}

// watched counts the streams that the library opens, and its pings and their answers on them.
type watched struct {
	grpc.ClientStream
	streams, pings, answers *atomic.Int32
}

func (w watched) SendMsg(message any) error {
	request, is := message.(*pb.StreamingPullRequest)
	if is && request.Subscription == "" && len(request.AckIds) == 0 && len(request.ModifyDeadlineAckIds) == 0 {
		w.pings.Add(1)
	}
	return w.ClientStream.SendMsg(message)
}

func (w watched) RecvMsg(message any) error {
	err := w.ClientStream.RecvMsg(message)
	if answer, is := message.(*pb.StreamingPullResponse); is && err == nil && len(answer.ReceivedMessages) == 0 {
		w.answers.Add(1)
	}
	return err
}

// large hears a hundred reports by a stream, each as large as they get: together they are more than an answer may have, and what
// is too large for the library ends its stream for good.
func large(_, _ string) {
	client := granted()
	subscribed(client, &pb.Subscription{})
	const count = 100
	sender := client.Publisher(topic)
	for range count {
		sender.Publish(ctx, &pubsub.Message{Data: make([]byte, 250_000)})
	}
	sender.Flush()
	var mutex sync.Mutex
	came := map[string]bool{}
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	check(client.Subscriber(subscription).Receive(until, func(_ context.Context, message *pubsub.Message) {
		mutex.Lock()
		defer mutex.Unlock()
		came[message.ID] = true
		message.Ack()
		if len(came) == count {
			cancel()
		}
	}))
	demand(len(came) == count, "%d of %d", len(came), count)
}

// keepalive holds messages for as long as four pings take: the stream stays, and nothing comes again.
func keepalive(_, _ string) {
	watch := watched{nil, new(atomic.Int32), new(atomic.Int32), new(atomic.Int32)}
	opened := func(ctx context.Context, of *grpc.StreamDesc, to *grpc.ClientConn, method string, open grpc.Streamer, options ...grpc.CallOption) (grpc.ClientStream, error) {
		stream, err := open(ctx, of, to, method, options...)
		if err != nil || !strings.HasSuffix(method, "/StreamingPull") {
			return stream, err
		}
		watch.streams.Add(1)
		return watched{stream, watch.streams, watch.pings, watch.answers}, nil
	}
	client := granted(option.WithGRPCDialOption(grpc.WithChainStreamInterceptor(opened)))
	subscribed(client, &pb.Subscription{AckDeadlineSeconds: 10})
	for _, data := range []string{"a", "b", "c"} {
		_, err := client.Publisher(topic).Publish(ctx, &pubsub.Message{Data: []byte(data)}).Get(ctx)
		check(err)
	}
	subscriber := client.Subscriber(subscription)
	subscriber.ReceiveSettings.NumGoroutines = 1
	// The library asks for more in time where it is woken in time: a busy machine is not what this is about.
	subscriber.ReceiveSettings.MinDurationPerAckExtension = 10 * time.Minute
	subscriber.ReceiveSettings.MaxDurationPerAckExtension = 10 * time.Minute
	var delivered, done atomic.Int32
	release := make(chan struct{})
	until, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	go func() {
		defer close(release)
		for watch.answers.Load() < 4 && until.Err() == nil && watch.streams.Load() < 2 {
			time.Sleep(100 * time.Millisecond)
		}
	}()
	check(subscriber.Receive(until, func(_ context.Context, message *pubsub.Message) {
		delivered.Add(1)
		<-release
		message.Ack()
		if done.Add(1) == 3 {
			cancel()
		}
	}))
	streams, pings, answers := watch.streams.Load(), watch.pings.Load(), watch.answers.Load()
	demand(streams == 1 && answers >= 4 && pings >= answers, "%d streams, %d pings, %d answers", streams, pings, answers)
	demand(delivered.Load() == 3, "%d deliveries of three messages", delivered.Load())
	left, err := client.SubscriptionAdminClient.Pull(ctx, &pb.PullRequest{Subscription: subscription, MaxMessages: 10, ReturnImmediately: true})
	check(err)
	demand(len(left.ReceivedMessages) == 0, "what was acknowledged came again: %v", left.ReceivedMessages)
}
