package organizations

import (
	"slices"
	"strings"

	"pergola/aws/organizations"
)

// defaultPage is how many items a page has unless the request says otherwise.
const defaultPage = 20

// page cuts one page out of a listing, in order of id, and returns the token of the next one: the id after which it
// begins.
func page[T any](items []T, p organizations.Page, id func(T) string) (cut []T, next string) {
	items = slices.DeleteFunc(items, func(item T) bool { return id(item) <= p.NextToken })
	slices.SortFunc(items, func(a, b T) int { return strings.Compare(id(a), id(b)) })
	size := int(p.MaxResults)
	if size == 0 {
		size = defaultPage
	}
	if len(items) <= size {
		return append([]T{}, items...), "" // a list, not null
	}
	return items[:size], id(items[size-1])
}

// each makes one slice of another.
func each[T, S any](items []T, f func(T) S) []S {
	made := make([]S, len(items))
	for i, item := range items {
		made[i] = f(item)
	}
	return made
}
