package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"

	amapi "google.golang.org/api/androidmanagement/v1"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"
)

// seen keeps what the last answer of the Android Management API was, and who asked.
type seen struct {
	body   []byte
	bearer string
}

func (s *seen) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	s.body, err = io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	s.bearer = request.Header.Get("Authorization")
	answer.Body = io.NopCloser(bytes.NewReader(s.body))
	return answer, nil
}

// last is what the program saw last; it calls one after another.
var last seen

// called holds the types of the calls that were made.
var called = map[reflect.Type]bool{}

// android is the library's client, with the account of a key file.
func android(url, key string) *amapi.Service {
	account := option.WithAuthCredentialsFile(option.ServiceAccount, key)
	transport, err := htransport.NewTransport(ctx, &last, account, option.WithScopes(amapi.AndroidmanagementScope))
	check(err)
	client := option.WithHTTPClient(&http.Client{Transport: transport})
	service, err := amapi.NewService(ctx, client, option.WithEndpoint(url+"/"))
	check(err)
	return service
}

// call is a call of the library that is answered by a T.
type call[T any] interface {
	Do(...googleapi.CallOption) (*T, error)
}

// do calls, and demands that the library's type has every field of the answer.
func do[T any](one call[T]) *T {
	answer, err := one.Do()
	if err != nil {
		fail(2, "%T: %v", one, err)
	}
	called[reflect.TypeOf(one)] = true
	strict(last.body, new(T))
	if operation, is := any(answer).(*amapi.Operation); is {
		command(operation.Metadata)
	}
	return answer
}

// strict reads a resource, every field of which has to be one of its type.
func strict(body []byte, into any) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		fail(3, "%T: %v in %s", into, err, body)
	}
}

// command reads what an operation says of its command.
func command(metadata []byte) amapi.Command {
	fields, read := map[string]json.RawMessage{}, amapi.Command{}
	check(json.Unmarshal(metadata, &fields))
	demand(string(fields["@type"]) == `"type.googleapis.com/google.android.devicemanagement.v1.Command"`, "%s", metadata)
	delete(fields, "@type")
	rest, err := json.Marshal(fields)
	check(err)
	strict(rest, &read)
	return read
}

// uncalled names the calls of the library that were not made: methods of its services that give something with a Do.
func uncalled(service *amapi.Service) []string {
	var missing []string
	var walk func(reflect.Value)
	walk = func(of reflect.Value) {
		for n := range of.NumMethod() {
			method := of.Type().Method(n).Type
			if method.NumOut() != 1 {
				continue
			}
			if _, has := method.Out(0).MethodByName("Do"); has && !called[method.Out(0)] {
				missing = append(missing, method.Out(0).String())
			}
		}
		for n := range of.Elem().NumField() {
			if field := of.Elem().Field(n); strings.HasSuffix(field.Type().String(), "Service") && field.CanInterface() {
				walk(field)
			}
		}
	}
	walk(reflect.ValueOf(service))
	return missing
}
