package ec2

import (
	"regexp"
	"slices"
	"strings"

	"pergola/aws"
	"pergola/aws/ec2"
)

// filtered are the things that pass all filters: for each, some attribute value must match some filter value.
func filtered[T any](things []T, filters []ec2.Filter, attributes func(T) map[string][]string) ([]T, error) {
	if len(filters) == 0 {
		return things, nil
	}
	var found []T
	for _, thing := range things {
		match, err := matches(filters, attributes(thing))
		if err != nil {
			return nil, err
		}
		if match {
			found = append(found, thing)
		}
	}
	return found, nil
}

func matches(filters []ec2.Filter, attributes map[string][]string) (bool, error) {
	for _, filter := range filters {
		values, ok := attributes[filter.Name]
		if !ok && !isOfTags(filter.Name) {
			return false, aws.Errorf("InvalidParameterValue", "The filter '%s' is invalid", filter.Name)
		}
		if !slices.ContainsFunc(filter.Values, func(pattern string) bool { return matchesAny(pattern, values) }) {
			return false, nil
		}
	}
	return true, nil
}

// isOfTags reports whether a filter looks at tags, which anything may be asked for.
func isOfTags(name string) bool {
	return name == "tag-key" || name == "tag-value" || strings.HasPrefix(name, "tag:")
}

// withTags adds to attributes those of tags.
func withTags(attributes map[string][]string, tags map[string]string) map[string][]string {
	for key, value := range tags {
		attributes["tag:"+key] = []string{value}
		attributes["tag-key"] = append(attributes["tag-key"], key)
		attributes["tag-value"] = append(attributes["tag-value"], value)
	}
	return attributes
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
