package control

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pergola/control/operation"
	"pergola/lattice"
	"pergola/store"
)

// zone has TXT records by their names, and counts the looks for them.
type zone struct {
	mu    sync.Mutex
	texts map[string]string
	looks int
}

func (z *zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.looks++
	if text, ok := z.texts[name]; ok {
		return []string{"v=spf1 -all", text}, nil
	}
	return nil, errors.New("no such host")
}

func (z *zone) count() int {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.looks
}

func (z *zone) publish(name, text string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.texts[name] = text
}

// TestVerification publishes the record that a verification asks for.
func TestVerification(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	z := &zone{texts: map[string]string{}}
	w.names = z
	started := must(w.StartDomainVerification(w.ctx, w.caller,
		&lattice.StartDomainVerificationRequest{DomainName: "example.com"}))
	config := started.TxtMethodConfig
	if started.Status != "PENDING" || !strings.HasPrefix(config.Name, "_") || config.Value != "vpc-lattice:"+
		config.Name[1:] || !strings.HasPrefix(started.ID, "dv-") {
		t.Errorf("started %+v, %+v", started, config)
	}
	_, err := w.StartDomainVerification(w.ctx, w.caller,
		&lattice.StartDomainVerificationRequest{DomainName: "example.com"})
	refused(t, err, lattice.Conflict, "has a verification already: "+started.ID)
	z.publish(config.Name+".example.com.", config.Value)

	ctx, stop := context.WithCancel(w.ctx)
	ended := make(chan error)
	go func() { ended <- w.Verify(ctx) }()
	err = w.Store.Follow(w.ctx, "object/domainverification/", func(batch store.Batch) error {
		for _, change := range batch.Changes {
			if strings.Contains(string(change.Value), `"VERIFIED"`) {
				return errRead
			}
		}
		return nil
	})
	if !errors.Is(err, errRead) {
		t.Fatal(err)
	}
	get := &lattice.GetDomainVerificationRequest{DomainVerificationIdentifier: started.ARN}
	if got := must(w.GetDomainVerification(w.ctx, w.caller, get)); got.Status != "VERIFIED" ||
		!got.LastVerifiedTime.Equal(w.clock) || !got.CreatedAt.Equal(w.clock) {
		t.Errorf("got %+v", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Verify ended with %v", err)
	}

	single := single("database", w.gateway("way", w.vpc("fleet")))
	single.CustomDomainName, single.DomainVerificationIdentifier = "db.example.com", started.ID
	resource := &lattice.GetResourceConfigurationRequest{ResourceConfigurationIdentifier: w.configuration(single)}
	if got := must(w.GetResourceConfiguration(w.ctx, w.caller, resource)); got.DomainVerificationStatus != "VERIFIED" ||
		got.DomainVerificationARN != started.ARN {
		t.Errorf("a resource with the domain is %+v", got)
	}
	must(w.DeleteDomainVerification(w.ctx, w.caller,
		&lattice.DeleteDomainVerificationRequest{DomainVerificationIdentifier: started.ID}))
	if got := must(w.GetResourceConfiguration(w.ctx, w.caller, resource)); got.DomainVerificationStatus != "" ||
		got.DomainVerificationID != started.ID {
		t.Errorf("without the verification it is %+v", got)
	}
	if items := must(w.ListDomainVerifications(w.ctx, w.caller, &lattice.ListDomainVerificationsRequest{})).Items; len(
		items) > 0 {
		t.Errorf("there is still %+v", items)
	}
}

func TestDomainVerificationsAreFew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		w.verification(name + ".example.com")
	}
	_, err := w.StartDomainVerification(w.ctx, w.caller,
		&lattice.StartDomainVerificationRequest{DomainName: "f.example.com"})
	refused(t, err, lattice.QuotaExceeded, "L-73D0F278")
	_, err = w.StartDomainVerification(w.ctx, w.caller, &lattice.StartDomainVerificationRequest{DomainName: "Example.com"})
	refused(t, err, lattice.Validation, "domainName")
}

// TestLooksGrowRare lets a domain time out, and another one have its record late.
func TestLooksGrowRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		z, batches, written := &zone{texts: map[string]string{}}, make(chan store.Batch), map[string]string{}
		began := time.Now()
		v := newVerifier(z, operation.Config{Now: time.Now, Logger: slog.New(slog.DiscardHandler)},
			func(_ context.Context, result looked) error {
				written[result.id] = time.Since(began).String()
				if result.found {
					written[result.id] = "found"
				}
				return nil
			})
		var running sync.WaitGroup
		running.Go(func() { v.run(ctx, batches) })
		var batch store.Batch
		for _, id := range []string{"dv-never", "dv-late"} {
			encoded := must(json.Marshal(lattice.DomainVerification{ID: id, DomainName: id + ".example.com", Status: "PENDING",
				CreatedAt: lattice.Time{Time: began}, TxtMethodConfig: &lattice.TxtMethodConfig{Name: "_x",
					Value: "vpc-lattice:x"}}))
			batch.Changes = append(batch.Changes, store.Change{Key: "domainverification/" + id, Value: encoded})
		}
		batches <- batch
		synctest.Wait()
		if n := z.count(); n != 2 {
			t.Errorf("%d looks at once, want 2", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := z.count(); n != 2*4 { // after 0, 5, 15 and 35 seconds
			t.Errorf("%d looks in a minute, want 8", n)
		}
		z.publish("_x.dv-late.example.com.", "vpc-lattice:x")
		time.Sleep(longestLook)
		synctest.Wait()
		if len(written) != 1 || written["dv-late"] != "found" {
			t.Errorf("after a while there is %v", written)
		}
		time.Sleep(verificationTime)
		synctest.Wait()
		if written["dv-never"] != "72h0m0s" || len(v.pending) != 0 {
			t.Errorf("at the end there is %v", written)
		}
		if n := z.count(); n > 2*int(verificationTime/longestLook) {
			t.Errorf("%d looks in all", n)
		}
		stop()
		running.Wait()
	})
}
