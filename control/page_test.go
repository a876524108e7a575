package control

import (
	"fmt"
	"net/url"
	"testing"

	"pergola/control/operation"
	"pergola/lattice"
)

func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 7 {
		w.service(fmt.Sprint("app-", i))
		w.caller = callerOf(other) // objects of others lie between one's own
		w.service(fmt.Sprint("app-", i))
		w.caller = callerOf(account)
	}
	for size, want := range map[int32]string{0: "[7]", 1: "[1 1 1 1 1 1 1]", 3: "[3 3 1]", 6: "[6 1]", 7: "[7]", 100: "[7]"} {
		in, seen, sizes := &lattice.ListServicesRequest{Page: lattice.Page{MaxResults: size}}, map[string]bool{}, []int{}
		for {
			page := must(w.ListServices(w.ctx, w.caller, in))
			for _, item := range page.Items {
				seen[item.ID] = true
			}
			sizes = append(sizes, len(page.Items))
			if page.NextToken == "" {
				break
			}
			if url.QueryEscape(page.NextToken) != page.NextToken {
				t.Errorf("token %q is not safe in a URL", page.NextToken)
			}
			in.NextToken = page.NextToken
		}
		if got := fmt.Sprint(sizes); got != want || len(seen) != 7 {
			t.Errorf("pages of %d: %s with %d services, want %s with 7", size, got, len(seen), want)
		}
	}
}

func TestTokensBelongToTheirListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retail, staging, parking := w.network("retail"), w.network("staging"), w.service("parking")
	w.service("rates")
	w.associate(retail, parking)
	w.associate(staging, parking)
	one := lattice.Page{MaxResults: 1}
	token := must(w.ListServices(w.ctx, w.caller, &lattice.ListServicesRequest{Page: one})).NextToken
	ofService := must(w.ListServiceNetworkServiceAssociations(w.ctx, w.caller, &lattice.ListServiceNetworkServiceAssociationsRequest{ServiceIdentifier: parking, Page: one})).NextToken
	services := func(token string) error {
		_, err := w.ListServices(w.ctx, w.caller, &lattice.ListServicesRequest{Page: lattice.Page{NextToken: token}})
		return err
	}
	if err := services(token); err != nil {
		t.Fatal(err)
	}
	flipped := []byte(token)
	flipped[3] ^= 1
	for _, bad := range []string{ofService, token[1:], token[:len(token)-2], string(flipped), "x", "!", "AAAAAAAAAAA", token + "A"} {
		refused(t, services(bad), lattice.Validation, "nextToken")
	}
	_, err := w.ListServiceNetworks(w.ctx, w.caller, &lattice.ListServiceNetworksRequest{Page: lattice.Page{NextToken: token}})
	refused(t, err, lattice.Validation, "nextToken")
	_, err = w.ListServiceNetworkServiceAssociations(w.ctx, w.caller, &lattice.ListServiceNetworkServiceAssociationsRequest{ServiceNetworkIdentifier: retail, Page: lattice.Page{NextToken: ofService}})
	refused(t, err, lattice.Validation, "nextToken")
	w.caller = callerOf(other)
	refused(t, services(token), lattice.Validation, "nextToken")
}

func TestAPageGoesOnAfterItsLastItemIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 3 {
		w.network(fmt.Sprint("net-", i))
	}
	first := must(w.ListServiceNetworks(w.ctx, w.caller, &lattice.ListServiceNetworksRequest{Page: lattice.Page{MaxResults: 1}}))
	must(w.DeleteServiceNetwork(w.ctx, w.caller, &lattice.DeleteServiceNetworkRequest{ServiceNetworkIdentifier: first.Items[0].ID}))
	rest := must(w.ListServiceNetworks(w.ctx, w.caller, &lattice.ListServiceNetworksRequest{Page: lattice.Page{NextToken: first.NextToken}}))
	if len(rest.Items) != 2 || rest.NextToken != "" {
		t.Errorf("the rest is %+v", rest)
	}
}

func FuzzResume(f *testing.F) {
	c := New(Config{Config: operation.Config{Region: region}})
	op := &call{c.Ask(f.Context(), nil, operation.Request{Caller: callerOf(account), Action: "ListServices"}), c}
	f.Add(op.token("", "svc-1"), "")
	f.Add("AAAA", "scope")
	f.Fuzz(func(t *testing.T, token, scope string) {
		key, err := op.resume(token, scope)
		if err == nil && token != "" && op.token(scope, key) != token {
			t.Errorf("%q is accepted, but %q is the token of %q", token, op.token(scope, key), key)
		}
	})
}
