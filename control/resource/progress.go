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
	Intent  *lattice.Intent
}

func (p Progress) stage() lattice.Stage { return lattice.Stage{Status: *p.Status, Failure: *p.Failure} }

func (p Progress) set(s lattice.Stage) { *p.Status, *p.Failure = s.Status, s.Failure }

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

// StageOf is the status of a resource that belongs to another package: of a kind, by its path. It is the one that the
// resource has in itself where statuses were not kept apart yet.
func StageOf(tx *store.Tx, kind, path string, inside lattice.Stage) (lattice.Stage, error) {
	stage, err := store.NewStatusKind[lattice.Stage](kind).Get(tx, path)
	if errors.Is(err, store.ErrNotFound) {
		return inside, nil
	}
	return stage, err
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
	p := k.Progress(value)
	if p.Status.InProgress() && (before == nil || *k.Progress(before).Status != *p.Status) {
		p.Intent.Generation++
	}
	p.Intent.Deleting = isDeletion(*p.Status)
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

// Row is how the changes of a kind with a status are completed. In creation or update a resource becomes ACTIVE when
// every live node has applied its last change, and one in deletion is dropped. updates says that resources are updated
// in the background too, and so have statuses for that. drop deletes a resource with all that is its own; nil is for a
// kind whose deletions have no status.
func (k *Kind[T]) Row(updates bool, drop func(*store.Tx, *T) error) settling.Row {
	return settling.Row{
		Kind: k.Name, Apart: true, Waits: settling.StatusWaits,
		Settle: func(tx *store.Tx, path string, verdict settling.Verdict) error {
			value, err := k.judged(tx, path, verdict)
			if value == nil {
				return err
			}
			p := k.Progress(value)
			if isDeletion(*p.Status) {
				return drop(tx, value)
			}
			if !verdict.Judge(p.Status, p.Failure, updates) {
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
	stage, err := settling.Read(tx, k.stages, path, verdict, func(s *lattice.Stage) bool { return s.Status.InProgress() })
	if stage == nil {
		return nil, err
	}
	value, err := k.get(tx, path)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return value, err
}
