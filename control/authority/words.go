package authority

import (
	"errors"
	"net/http"

	"pergola/aws"
	"pergola/store"
)

// TooMuch tells who asked for more than one transaction of the store can do. Trying again does not help.
const TooMuch = "The request would change more at once than the store takes in one transaction; ask for less at a " +
	"time, or give etcd a higher --max-txn-ops"

// tooMuch is the code of that, where a service has no other.
const tooMuch = "InvalidParameterValue"

// Explained puts a refusal, and an outage of the store, into the words of a service: the errors that it has for them.
// What refused has as its message goes before the sentence of the refusal. Other errors stay as they are.
func Explained(err error, refused, unavailable aws.Error) error {
	var denied *Denied
	switch {
	case errors.As(err, &denied):
		refused.Message += denied.Message
		return &refused
	case errors.Is(err, store.ErrUnavailable):
		unavailable.Message, unavailable.Status = "The store does not answer; try again in a moment",
			http.StatusServiceUnavailable
		if errors.Is(err, store.ErrUncertain) {
			unavailable.Message = "The store did not answer, and the change may have been made or not: look before you try again"
		}
		return &unavailable
	case errors.Is(err, store.ErrTooManyOps), errors.Is(err, store.ErrTooLarge):
		return &aws.Error{Code: tooMuch, Message: TooMuch}
	}
	return err
}
