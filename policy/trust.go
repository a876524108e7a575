package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// NamedPrincipals are the ARNs of the users and roles that a document names as principals, sorted. There are none in a
// document that is not JSON.
func NamedPrincipals(document string) (arns []string) {
	for _, n := range awsPrincipals(document) {
		if _, name, err := splitPrincipal(n.text); err == nil && (strings.HasPrefix(name, "user/") || strings.HasPrefix(name, "role/")) {
			arns = append(arns, n.text)
		}
	}
	slices.Sort(arns)
	return slices.Compact(arns)
}

// RenamePrincipals writes a document with other names for some of its principals, which names has by their ARNs. All else
// stays as it is, ARNs in conditions included.
func RenamePrincipals(document string, names map[string]string) string {
	var renamed strings.Builder
	done := 0
	for _, n := range awsPrincipals(document) {
		name, ok := names[n.text]
		if !ok {
			continue
		}
		literal := json.NewDecoder(strings.NewReader(document[n.offset:]))
		_, _ = literal.Token() // a string, as the document has been read
		quoted, _ := json.Marshal(name)
		renamed.WriteString(document[done:n.offset])
		renamed.Write(quoted)
		done = n.offset + int(literal.InputOffset())
	}
	return renamed.String() + document[done:]
}

// awsPrincipals are the values of Principal elements that stand for accounts, users, roles or sessions, in order.
func awsPrincipals(document string) (all []*node) {
	root := readJSON(&problems{source: []byte(document)})
	if root == nil {
		return nil
	}
	for _, statement := range each(root.member("Statement")) {
		principal := statement.member("Principal")
		if principal != nil && principal.shape == jsonObject {
			principal = principal.member("AWS")
		}
		all = append(all, each(principal)...)
	}
	return all
}

// each are the items of a list, or the one value that stands in its place.
func each(n *node) []*node {
	switch {
	case n == nil:
		return nil
	case n.shape == jsonList:
		return n.items
	}
	return []*node{n}
}

// byUniqueID makes a document mean the users and roles that have some unique ids, which ids has by ARNs, and nobody who
// comes to have one of the ARNs later.
func (d *Document) byUniqueID(ids map[string]string) {
	for _, statement := range d.statements {
		set := statement.principal
		set.arns = slices.DeleteFunc(set.arns, func(arn string) bool {
			id, ok := ids[arn]
			if ok {
				set.ids = append(set.ids, id)
			}
			return ok
		})
	}
}
