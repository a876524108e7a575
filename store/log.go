package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"
)

// zapCore hands what etcd logs to slog, from warnings up: below that etcd tells of each of its steps.
type zapCore struct{ log *slog.Logger }

func (zapCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c zapCore) With(fields []zapcore.Field) zapcore.Core {
	return zapCore{log: slog.New(c.log.Handler().WithAttrs(attrs(fields)))}
}

func (c zapCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) && !isRoutine(e.Message) {
		return checked.AddCore(e, c)
	}
	return checked
}

// isRoutine reports whether a message only looks like trouble.
func isRoutine(message string) bool {
	switch message {
	// The request returns the error, and who made it decides what it means.
	case "failed to apply request", "retrying of unary invoker failed":
		return true
	// A member looks for versions when it starts, before a fresh database has one, and while it stops. It tries again.
	case "Failed to detect schema version", "failed to update storage version", "failed to update cluster version",
		"server has stopped; skipping GoAttach":
		return true
	}
	// On a busy machine the first election can come before the member has applied that it is one. The next comes a tick
	// later.
	return strings.Contains(message, "cannot campaign") && strings.Contains(message, "pending configuration changes")
}

func (c zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelError
	if e.Level == zapcore.WarnLevel {
		level = slog.LevelWarn
	}
	c.log.LogAttrs(context.Background(), level, "etcd: "+e.Message, attrs(fields)...)
	return nil
}

func (zapCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []slog.Attr {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(values)
	}
	out := make([]slog.Attr, 0, len(values.Fields))
	for _, k := range slices.Sorted(maps.Keys(values.Fields)) {
		out = append(out, slog.Any(k, values.Fields[k]))
	}
	return out
}
