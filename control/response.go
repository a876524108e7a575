package control

import "reflect"

// project makes a response of nouns: each of its fields takes the value of the field with the same name in the first
// source that has one, and stays zero if none has.
func project[R any](sources ...any) *R {
	answer := new(R)
	to := reflect.ValueOf(answer).Elem()
	for i := range to.NumField() {
		for _, source := range sources {
			from := reflect.Indirect(reflect.ValueOf(source)).FieldByName(to.Type().Field(i).Name)
			if from.IsValid() {
				to.Field(i).Set(from)
				break
			}
		}
	}
	return answer
}

// respond makes the response of an operation that answers with one object.
func respond[R, T any](value *T, err error) (*R, error) {
	if err != nil {
		return nil, err
	}
	return project[R](value), nil
}
