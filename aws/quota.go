package aws

// Quota is a limit on how many of something an account may have, as Service Quotas names it.
type Quota struct {
	// Code names the quota, such as "L-F678F1CE".
	Code string
	// Name says what is counted, and Default how many there may be unless a deployment says otherwise.
	Name    string
	Default int
	// Exceeded is the code of the error of what goes beyond.
	Exceeded string
}

// Quotas are the values of a deployment that replace default quotas, by code.
type Quotas map[string]int

// Limit is how many there may be.
func (q Quotas) Limit(of Quota) int { return q.LimitOf(of.Code, of.Default) }

// LimitOf is how many there may be of a quota with a code and a default. "" is the code of what nobody can change.
func (q Quotas) LimitOf(code string, otherwise int) int {
	if limit, ok := q[code]; ok && code != "" {
		return limit
	}
	return otherwise
}

// Room refuses what would make it more than the quota allows. wanted is how many there would be.
func (q Quotas) Room(of Quota, wanted int) error {
	if limit := q.Limit(of); wanted > limit {
		return Errorf(of.Exceeded, "%s: the quota of %d is used up; raise quota %s or delete what is not needed", of.Name,
			limit, of.Code)
	}
	return nil
}
