package organizations

import (
	"cmp"

	"pergola/aws/organizations"
	"pergola/control/resource"
)

// defaultPage is how many items a page has unless the request says otherwise.
const defaultPage = 20

// page cuts one page out of a listing, in order of id, and returns the token of the next one: the id after which it
// begins.
func page[T any](items []T, p organizations.Page, id func(T) string) (cut []T, next string) {
	return resource.Page(items, id, p.NextToken, int(cmp.Or(p.MaxResults, defaultPage)))
}

// each makes one slice of another.
func each[T, S any](items []T, f func(T) S) []S {
	made := make([]S, len(items))
	for i, item := range items {
		made[i] = f(item)
	}
	return made
}
