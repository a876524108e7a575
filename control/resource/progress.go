package resource

import (
	"errors"

	"pergola/control/operation"
	"pergola/control/ownership"
	"pergola/control/settling"
	"pergola/lattice"
	"pergola/store"
)

// Progress is where a resource says how far its last change has come. The store has that apart from the resource, as a
// lattice.Stage; who reads a resource by its Kind finds it filled in.
type Progress struct {
	Status  *lattice.Status
	Failure *lattice.Failure
	// Until is nil for kinds whose changes wait for nodes alone.
	Until *lattice.Time
	// Intent is nil for kinds without statuses in progress.
	Intent *lattice.Intent
}

// ProgressOf is the Progress of a resource that has its stage and its intent, nil for none, in one piece each.
func ProgressOf(stage *lattice.Stage, intent *lattice.Intent) Progress {
	return Progress{&stage.Status, &stage.Failure, &stage.Until, intent}
}

func (p Progress) stage() lattice.Stage {
	stage := lattice.Stage{Status: *p.Status, Failure: *p.Failure}
	if p.Until != nil {
		stage.Until = *p.Until
	}
	return stage
}

func (p Progress) set(s lattice.Stage) {
	*p.Status, *p.Failure = s.Status, s.Failure
	if p.Until != nil {
		*p.Until = s.Until
	}
}

// intend tells nodes what they need to know of a status that was another one before.
func (p Progress) intend(before lattice.Status) {
	if p.Intent == nil {
		return
	}
	if p.Status.InProgress() && before != *p.Status {
		p.Intent.Generation++
	}
	p.Intent.Deleting = isDeletion(*p.Status) || *p.Status == lattice.StatusGone
}

// isDeletion reports whether a status is that of something that is to go.
func isDeletion(s lattice.Status) bool {
	return s == lattice.StatusDeleteInProgress || s == lattice.StatusDeleteFailed
}

// get reads a resource with its status.
func (k *Kind[T]) get(tx *store.Tx, path string) (*T, error) {
	value, err := k.Objects.Get(tx, path)
	if err != nil {
		return nil, err
	}
	return &value, k.fill(tx, path, &value)
}

// fill reads the status of a resource. One from before statuses were kept apart has its own in itself.
func (k *Kind[T]) fill(tx *store.Tx, path string, value *T) error {
	if k.Progress == nil {
		return nil
	}
	stage, err := k.stages.Get(tx, path)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err == nil {
		k.Progress(value).set(stage)
	}
	return err
}

// ReadForeign reads a resource of another package with its status, of a kind by its path. It has the status in itself
// where statuses were not kept apart yet.
func ReadForeign[T any](tx *store.Tx, kind, path string, stageIn func(*T) *lattice.Stage) (T, error) {
	value, err := store.NewKind[T](kind).Get(tx, path)
	if err != nil {
		return value, err
	}
	stage, err := store.NewStatusKind[lattice.Stage](kind).Get(tx, path)
	if errors.Is(err, store.ErrNotFound) {
		return value, nil
	}
	*stageIn(&value) = stage
	return value, err
}

// fillAll reads the statuses of resources.
func (k *Kind[T]) fillAll(tx *store.Tx, entries []store.Entry[T]) error {
	if k.Progress == nil {
		return nil
	}
	paths, at := make([]string, len(entries)), make(map[string]*T, len(entries))
	for i := range entries {
		paths[i], at[entries[i].ID] = entries[i].ID, &entries[i].Value
	}
	stages, err := k.stages.GetMany(tx, paths)
	for _, stage := range stages {
		k.Progress(at[stage.ID]).set(stage.Value)
	}
	return err
}

// write writes a resource, and its status apart from it. before is what it was, nil for a new one. A change
// that moves the status changes the resource too, since nodes follow that alone.
func (k *Kind[T]) write(tx *store.Tx, path string, before, value *T) error {
	if k.Progress == nil {
		return k.Objects.Put(tx, path, *value)
	}
	p, was := k.Progress(value), lattice.Status("")
	if before != nil {
		was = *k.Progress(before).Status
	}
	p.intend(was)
	bare := *value
	k.Progress(&bare).set(lattice.Stage{})
	if err := k.Objects.Put(tx, path, bare); err != nil {
		return err
	}
	return k.stages.Put(tx, path, p.stage())
}

// apartIndex has a key for each kind whose statuses are apart in the whole store.
var apartIndex = store.NewIndex("status-apart")

// apart is the step that takes the statuses out of the resources of a store in which they were in them.
func (k *Kind[T]) apart() ownership.Step {
	return ownership.Once(apartIndex, k.Name, ownership.Each(k.Objects, func(tx *store.Tx, value *T) error {
		path := k.Head(value).Path
		if err := k.fill(tx, path, value); err != nil {
			return err
		}
		was := *value
		return k.write(tx, path, &was, value)
	}))
}

// Course is how the changes of a kind with a status end.
type Course[T any] struct {
	// Updates says that resources are updated in the background too, and so have statuses for that.
	Updates bool
	// GivesUp says that a resource that could not be created is dropped, with its failure, and not tried again.
	GivesUp bool
	// Drop deletes a resource with all that is its own, or makes it GONE for a while; then it is asked again when that is
	// over. Nil is for a kind whose deletions have no status.
	Drop func(*store.Tx, *T) error
}

// Row is how the changes of a kind with a status are completed. In creation or update a resource becomes ACTIVE when
// every live node has applied its last change, and one in deletion is dropped.
func (k *Kind[T]) Row(c Course[T]) settling.Row {
	return settling.Row{
		Kind: k.Name, Apart: true, Waits: settling.StatusWaits,
		Settle: func(tx *store.Tx, path string, verdict settling.Verdict) error {
			value, err := k.judged(tx, path, verdict)
			if value == nil {
				return err
			}
			p := k.Progress(value)
			if isDeletion(*p.Status) || *p.Status == lattice.StatusGone {
				return c.Drop(tx, value)
			}
			switch changed := verdict.Judge(p.Status, p.Failure, c.Updates); {
			case c.GivesUp && *p.Status == lattice.StatusCreateFailed:
				return c.Drop(tx, value)
			case !changed:
				return nil
			}
			return k.Put(operation.Within(tx, ""), value)
		},
		Fail: func(tx *store.Tx, path string, verdict settling.Verdict) (bool, error) {
			value, err := k.judged(tx, path, verdict)
			if value == nil {
				return false, err
			}
			p := k.Progress(value)
			if !isDeletion(*p.Status) || *p.Status == lattice.StatusDeleteFailed && *p.Failure == verdict.Failure {
				return false, nil // a creation or an update has no such word
			}
			p.set(lattice.Stage{Status: lattice.StatusDeleteFailed, Failure: verdict.Failure})
			return true, k.Put(operation.Within(tx, ""), value)
		},
	}
}

// judged reads the resource that a verdict is about, and is nil if the verdict is void.
func (k *Kind[T]) judged(tx *store.Tx, path string, verdict settling.Verdict) (*T, error) {
	stage, err := settling.Read(tx, k.stages, path, verdict,
		func(s *lattice.Stage) bool { return s.Status.InProgress() || s.Status == lattice.StatusGone })
	if stage == nil {
		return nil, err
	}
	value, err := k.get(tx, path)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return value, err
}
