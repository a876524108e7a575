package resource

import (
	"cmp"
	"slices"
)

// Page cuts one page out of items, in the order of their keys: those after a key, so many at most, 0 for all. next is
// the key after which the following page begins, "" if there is none. An empty page is a list too, and not null.
func Page[S any](items []S, key func(S) string, after string, most int) (page []S, next string) {
	page = append([]S{}, items...)
	slices.SortFunc(page, func(a, b S) int { return cmp.Compare(key(a), key(b)) })
	if after != "" {
		page = slices.DeleteFunc(page, func(item S) bool { return key(item) <= after })
	}
	if most <= 0 || len(page) <= most {
		return page, ""
	}
	return page[:most], key(page[most-1])
}
