package control

// respond makes the response of an operation that answers with one object.
func respond[R, T any](response func(*T) *R) func(*T, error) (*R, error) {
	return func(value *T, err error) (*R, error) {
		if err != nil {
			return nil, err
		}
		return response(value), nil
	}
}
