package api

import (
	"context"
	"net/http"
	"testing"

	"pergola/control"
)

// late says of every change whether it is in force.
type late struct {
	inForce       bool
	begun, waited int
}

func (l *late) Begin(ctx context.Context) (context.Context, func() bool) {
	l.begun++
	return ctx, func() bool { l.waited++; return l.inForce }
}

func TestFault_B3_AnAnswerThatComesBeforeTheNodesSaysSo(t *testing.T) {
	for _, inForce := range []bool{true, false} {
		handler, log := testDoor()
		told := &late{inForce: inForce}
		handler.(*door).inForce = told
		answer := serve(handler, signed(t, http.MethodPost, "/services", "vpc-lattice", `{"name":"abc"}`))
		pending := answer.Header.Get(inForceHeader) == "pending"
		if pending == inForce || answer.StatusCode != http.StatusCreated || told.waited != 1 || (log.Len() > 0) == inForce {
			t.Errorf("in force %t: %d, pending %t, waited %d times, logged %q", inForce, answer.StatusCode, pending,
				told.waited, log)
		}
		serve(handler, signed(t, http.MethodGet, "/services/svc-00000000000000003", "vpc-lattice", ""))
		if told.begun != 2 || told.waited != 1 {
			t.Errorf("it waited for what was refused: %d, %d", told.begun, told.waited)
		}
	}
}

// Who answers at once are those whose answer has a status in progress, and no others.
func TestWhatAnswersBeforeItIsInForceHasAStatus(t *testing.T) {
	for _, op := range latticeOperations(control.New(control.Config{})) {
		status, ok := op.output.FieldByName("Status")
		hasStatus := ok && status.Type.Name() == "Status" && op.method != http.MethodGet
		if op.name == "UpdateTargetGroup" { // whose status stays as it is
			hasStatus = false
		}
		if op.settles != hasStatus {
			t.Errorf("%s: settles is %t", op.name, op.settles)
		}
	}
}
