package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// beside plays one script against Google's own fake of Pub/Sub and against ours, and demands the same of both.
//
// Where the fake is not like the service, the script does not go: it does not push and has no policies of IAM; it wants
// an ack deadline to be named; it knows subscriptions of a topic that is not there; a topic that is deleted stays a subscription's; of messages without a key it pulls any
// first; a stream that ends keeps its messages until their leases are over; it counts a delivery attempt for a message
// that is dead, and sets no attribute of it.
func beside(url, _ string) {
	fake := pstest.NewServer()
	defer fake.Close()
	both := []chan []string{make(chan []string, 1), make(chan []string, 1)}
	for n, address := range []string{fake.Addr, strings.TrimPrefix(url, "http://")} {
		go func() { both[n] <- script(address) }()
	}
	theirs, ours := <-both[0], <-both[1]
	demand(len(theirs) > 40, "the script is cut short: %v", theirs)
	demand(slices.Equal(theirs, ours), "pstest says\n%s\nand we say\n%s", strings.Join(theirs, "\n"), strings.Join(ours, "\n"))
}

// script does what a subscriber does, and tells what it saw.
func script(address string) []string {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer conn.Close()
	s := &scripted{pub: pb.NewPublisherClient(conn), sub: pb.NewSubscriberClient(conn)}
	s.resources()
	s.deliveries()
	s.order()
	s.deadLetters()
	s.stream()
	s.ends()
	return s.saw
}

type scripted struct {
	pub pb.PublisherClient
	sub pb.SubscriberClient
	saw []string
}

func (s *scripted) say(format string, details ...any) {
	s.saw = append(s.saw, fmt.Sprintf(format, details...))
}

// code notes what a call came to.
func (s *scripted) code(of string, err error) {
	s.say("%s: %v", of, status.Code(err))
}

func (s *scripted) subscribe(name string, with func(*pb.Subscription)) error {
	of := &pb.Subscription{Name: "projects/p/subscriptions/" + name, Topic: "projects/p/topics/one", AckDeadlineSeconds: 10}
	with(of)
	_, err := s.sub.CreateSubscription(ctx, of)
	return err
}

func as(*pb.Subscription) {}

func (s *scripted) publish(topic string, messages ...*pb.PubsubMessage) []string {
	published, err := s.pub.Publish(ctx, &pb.PublishRequest{Topic: "projects/p/topics/" + topic, Messages: messages})
	check(err)
	return published.MessageIds
}

// pull takes what there is, by the data.
func (s *scripted) pull(name string) map[string]*pb.ReceivedMessage {
	pulled, err := s.sub.Pull(ctx, &pb.PullRequest{Subscription: "projects/p/subscriptions/" + name, MaxMessages: 100, ReturnImmediately: true})
	check(err)
	came := map[string]*pb.ReceivedMessage{}
	for _, received := range pulled.ReceivedMessages {
		came[string(received.Message.Data)] = received
	}
	return came
}

func (s *scripted) ack(name string, of ...*pb.ReceivedMessage) {
	ids := []string{}
	for _, received := range of {
		ids = append(ids, received.AckId)
	}
	_, err := s.sub.Acknowledge(ctx, &pb.AcknowledgeRequest{Subscription: "projects/p/subscriptions/" + name, AckIds: ids})
	s.code("acknowledge", err)
}

func (s *scripted) modify(name string, secs int32, of *pb.ReceivedMessage) {
	request := &pb.ModifyAckDeadlineRequest{Subscription: "projects/p/subscriptions/" + name, AckIds: []string{of.AckId}}
	request.AckDeadlineSeconds = secs
	_, err := s.sub.ModifyAckDeadline(ctx, request)
	s.code("modify", err)
}

func keys[V any](of map[string]V) []string {
	sorted := []string{}
	for key := range of {
		sorted = append(sorted, key)
	}
	slices.Sort(sorted)
	return sorted
}

// resources are made, found, changed and listed.
func (s *scripted) resources() {
	for _, name := range []string{"one", "one", "dead"} {
		_, err := s.pub.CreateTopic(ctx, &pb.Topic{Name: "projects/p/topics/" + name})
		s.code("create topic "+name, err)
	}
	got, err := s.pub.GetTopic(ctx, &pb.GetTopicRequest{Topic: "projects/p/topics/one"})
	s.code("get topic "+got.GetName(), err)
	_, err = s.pub.GetTopic(ctx, &pb.GetTopicRequest{Topic: "projects/p/topics/none"})
	s.code("get topic", err)
	s.code("subscribe to nothing", s.subscribe("sub", func(of *pb.Subscription) { of.Topic = "" }))
	s.code("subscribe to what is not there", s.subscribe("sub", func(of *pb.Subscription) { of.Topic += "x" }))
	s.code("subscribe", s.subscribe("sub", func(of *pb.Subscription) { of.Labels = map[string]string{"a": "b"} }))
	s.code("subscribe again", s.subscribe("sub", as))
	s.code("subscribe with a lease", s.subscribe("long", func(of *pb.Subscription) { of.AckDeadlineSeconds = 600 }))
	sub, err := s.sub.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: "projects/p/subscriptions/sub"})
	check(err)
	kept := sub.MessageRetentionDuration.AsDuration()
	s.say("%s %s %d %s %v %v", sub.Name, sub.Topic, sub.AckDeadlineSeconds, kept, sub.Labels, sub.EnableMessageOrdering)
	sub, err = s.sub.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: "projects/p/subscriptions/long"})
	check(err)
	sub.AckDeadlineSeconds = 599
	mask := &fieldmaskpb.FieldMask{Paths: []string{"ack_deadline_seconds"}}
	sub, err = s.sub.UpdateSubscription(ctx, &pb.UpdateSubscriptionRequest{Subscription: sub, UpdateMask: mask})
	check(err)
	s.say("updated: %d %v", sub.AckDeadlineSeconds, sub.Labels)
	topics, err := s.pub.ListTopics(ctx, &pb.ListTopicsRequest{Project: "projects/p"})
	check(err)
	for _, topic := range topics.Topics {
		s.say("topic %s", topic.Name)
	}
	subs, err := s.sub.ListSubscriptions(ctx, &pb.ListSubscriptionsRequest{Project: "projects/p", PageSize: 1})
	check(err)
	s.say("%d of a page, more %v", len(subs.Subscriptions), subs.NextPageToken != "")
	of, err := s.pub.ListTopicSubscriptions(ctx, &pb.ListTopicSubscriptionsRequest{Topic: "projects/p/topics/one"})
	check(err)
	s.say("subscriptions %v", of.Subscriptions)
	_, err = s.pub.Publish(ctx, &pb.PublishRequest{Topic: "projects/p/topics/none", Messages: []*pb.PubsubMessage{{Data: []byte("x")}}})
	s.code("publish to what is not there", err)
}

// deliveries come again when they are refused, or when their lease is over; under another id each time.
func (s *scripted) deliveries() {
	attributes := map[string]string{"notificationType": "COMMAND", "b": "\u00e4"}
	messages := []*pb.PubsubMessage{{Data: []byte("acked"), Attributes: attributes}}
	for _, data := range []string{"nacked", "left", "extended"} {
		messages = append(messages, &pb.PubsubMessage{Data: []byte(data)})
	}
	ids := s.publish("one", messages...)
	pulled, first := time.Now(), s.pull("sub")
	s.say("pulled %v", keys(first))
	for n, message := range messages {
		received := first[string(message.Data)]
		same := received.Message.MessageId == ids[n] && !received.Message.PublishTime.AsTime().IsZero()
		s.say("%s: %v %v %q attempt %d", message.Data, same, received.Message.Attributes, received.Message.OrderingKey, received.DeliveryAttempt)
	}
	s.say("pulled %v", keys(s.pull("sub")))
	s.ack("sub", first["acked"])
	s.modify("sub", 600, first["extended"])
	s.modify("sub", 0, first["nacked"])
	again := s.pull("sub")
	s.say("pulled %v", keys(again))
	was, is := first["nacked"], again["nacked"]
	s.say("same id %v, same time %v, same ack id %v", was.Message.MessageId == is.Message.MessageId,
		was.Message.PublishTime.AsTime().Equal(is.Message.PublishTime.AsTime()), was.AckId == is.AckId)
	s.ack("sub", was)
	s.modify("sub", 600, was)
	came := map[string]*pb.ReceivedMessage{}
	for until := time.Now().Add(patience); len(came) < 2 && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		for data, received := range s.pull("sub") {
			came[data] = received
			// A lease can't be over before its time, however slow this machine is.
			s.say("%s comes again, in time: %v", data, time.Since(pulled) >= 10*time.Second-100*time.Millisecond)
		}
	}
	slices.Sort(s.saw[len(s.saw)-len(came):])
	s.say("another ack id: %v", came["left"].AckId != first["left"].AckId)
	s.ack("sub", came["left"], came["nacked"], first["extended"])
	s.say("pulled %v", keys(s.pull("sub")))
	s.say("the other subscription %v", keys(s.pull("long")))
}

// order is one at a time for each key, also when it is refused.
func (s *scripted) order() {
	s.code("subscribe in order", s.subscribe("order", func(of *pb.Subscription) { of.EnableMessageOrdering = true }))
	for _, data := range []string{"1", "2", "3"} {
		s.publish("one", &pb.PubsubMessage{Data: []byte(data), OrderingKey: "k"})
	}
	for n := range 4 {
		came := s.pull("order")
		s.say("in order %v", keys(came))
		for _, received := range came {
			s.say("key %s", received.Message.OrderingKey)
			if n == 0 {
				s.modify("order", 0, received)
			} else {
				s.ack("order", received)
			}
		}
	}
	s.say("in order %v", keys(s.pull("order")))
}

// deadLetters go where they should when they have failed often enough.
func (s *scripted) deadLetters() {
	policy := &pb.DeadLetterPolicy{DeadLetterTopic: "projects/p/topics/dead", MaxDeliveryAttempts: 5}
	s.code("subscribe with a place for the dead", s.subscribe("dying", func(of *pb.Subscription) { of.DeadLetterPolicy = policy }))
	s.code("subscribe to the dead", s.subscribe("dead", func(of *pb.Subscription) { of.Topic = "projects/p/topics/dead" }))
	s.publish("one", &pb.PubsubMessage{Data: []byte("bad")})
	for range 5 {
		received := s.pull("dying")["bad"]
		s.say("attempt %d", received.GetDeliveryAttempt())
		s.modify("dying", 0, received)
	}
	s.say("pulled %v", keys(s.pull("dying")))
	s.say("the dead %v", keys(s.pull("dead")))
}

// stream takes messages as they come, and answers pings.
func (s *scripted) stream() {
	s.code("subscribe", s.subscribe("stream", as))
	open := func(name string) (pb.Subscriber_StreamingPullClient, context.CancelFunc) {
		until, cancel := context.WithTimeout(ctx, patience)
		stream, err := s.sub.StreamingPull(until)
		check(err)
		first := &pb.StreamingPullRequest{Subscription: "projects/p/subscriptions/" + name, StreamAckDeadlineSeconds: 10}
		first.ProtocolVersion = 1
		check(stream.Send(first))
		return stream, cancel
	}
	nowhere, cancel := open("none")
	_, err := nowhere.Recv()
	s.code("a stream of what is not there", err)
	cancel()
	stream, cancel := open("stream")
	defer cancel()
	s.publish("one", &pb.PubsubMessage{Data: []byte("streamed"), Attributes: map[string]string{"a": "b"}})
	answer, err := stream.Recv()
	check(err)
	received := answer.ReceivedMessages[0]
	s.say("%d: %s %v", len(answer.ReceivedMessages), received.Message.Data, received.Message.Attributes)
	check(stream.Send(&pb.StreamingPullRequest{}))
	answer, err = stream.Recv()
	check(err)
	s.say("a ping is answered by %d messages", len(answer.ReceivedMessages))
	refuse := &pb.StreamingPullRequest{ModifyDeadlineAckIds: []string{received.AckId}, ModifyDeadlineSeconds: []int32{0}}
	check(stream.Send(refuse))
	answer, err = stream.Recv()
	check(err)
	again := answer.ReceivedMessages[0]
	s.say("%s comes again, same ack id %v", again.Message.Data, again.AckId == received.AckId)
	check(stream.Send(&pb.StreamingPullRequest{AckIds: []string{again.AckId}}))
	check(stream.CloseSend())
	_, err = stream.Recv()
	s.say("the end: %v", err == io.EOF)
	s.say("pulled %v", keys(s.pull("stream")))
}

// ends are calls for what is gone.
func (s *scripted) ends() {
	gone := "projects/p/subscriptions/sub"
	for range 2 {
		_, err := s.sub.DeleteSubscription(ctx, &pb.DeleteSubscriptionRequest{Subscription: gone})
		s.code("delete subscription", err)
	}
	_, err := s.sub.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: gone})
	s.code("get", err)
	_, err = s.sub.Pull(ctx, &pb.PullRequest{Subscription: gone, MaxMessages: 1})
	s.code("pull", err)
	_, err = s.sub.Acknowledge(ctx, &pb.AcknowledgeRequest{Subscription: gone, AckIds: []string{"x"}})
	s.code("acknowledge", err)
	_, err = s.sub.ModifyAckDeadline(ctx, &pb.ModifyAckDeadlineRequest{Subscription: gone, AckIds: []string{"x"}})
	s.code("modify", err)
	mask := &fieldmaskpb.FieldMask{Paths: []string{"ack_deadline_seconds"}}
	update := &pb.UpdateSubscriptionRequest{Subscription: &pb.Subscription{Name: gone, AckDeadlineSeconds: 10}, UpdateMask: mask}
	_, err = s.sub.UpdateSubscription(ctx, update)
	s.code("update", err)
	for range 2 {
		_, err = s.pub.DeleteTopic(ctx, &pb.DeleteTopicRequest{Topic: "projects/p/topics/one"})
		s.code("delete topic", err)
	}
}
