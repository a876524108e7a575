package ec2

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// matches reports whether an object passes all filters: for each, some attribute value must match some filter value.
func matches(filters []ec2.Filter, attributes map[string][]string, tags map[string]string) (bool, error) {
	for _, filter := range filters {
		values, err := filteredValues(filter.Name, attributes, tags)
		if err != nil {
			return false, err
		}
		if !slices.ContainsFunc(filter.Values, func(pattern string) bool { return matchesAny(pattern, values) }) {
			return false, nil
		}
	}
	return true, nil
}

// filteredValues are the values that a filter looks at.
func filteredValues(name string, attributes map[string][]string, tags map[string]string) ([]string, error) {
	if key, ok := strings.CutPrefix(name, "tag:"); ok {
		if value, ok := tags[key]; ok {
			return []string{value}, nil
		}
		return nil, nil
	}
	switch name {
	case "tag-key":
		return slices.Collect(maps.Keys(tags)), nil
	case "tag-value":
		return slices.Collect(maps.Values(tags)), nil
	}
	values, ok := attributes[name]
	if !ok {
		return nil, aws.Errorf("InvalidParameterValue", "The filter '%s' is invalid", name)
	}
	return values, nil
}

// matchesAny matches a filter's value: * stands for any characters, ? for one, and a backslash takes the meaning from
// either.
func matchesAny(pattern string, values []string) bool {
	if !strings.ContainsAny(pattern, `*?\`) {
		return slices.Contains(values, pattern)
	}
	var expression strings.Builder
	expression.WriteString(`(?s)^`)
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*':
			expression.WriteString(".*")
		case c == '?':
			expression.WriteString(".")
		case c == '\\' && i+1 < len(pattern):
			i++
			expression.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		default:
			expression.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	compiled, err := regexp.Compile(expression.String() + "$")
	return err == nil && slices.ContainsFunc(values, compiled.MatchString)
}
