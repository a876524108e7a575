package http1

import "io"

// Source is a body that arrives: a Body, or one that came by another version of HTTP.
type Source interface {
	Next() ([]byte, error)
	Fill() error
}

// Sink takes a body: a Writer, or one to a peer that speaks another version of HTTP.
type Sink interface {
	io.Writer
	Flush() error
}

// Relay passes a body on as it arrives, and returns at its end with the last of it still pending in dst, so that it can
// leave together with trailers and what ends the message. Before it waits for more it flushes what it has. One of its
// two errors is nil, so that the caller knows which side failed.
func Relay(dst Sink, src Source) (readErr, writeErr error) {
	for {
		if readErr, writeErr = RelayArrived(dst, src); readErr != nil || writeErr != nil {
			if readErr == io.EOF {
				readErr = nil
			}
			return readErr, writeErr
		}
		if err := dst.Flush(); err != nil {
			return nil, err
		}
		if err := src.Fill(); err != nil {
			return err, nil
		}
	}
}

// RelayArrived passes on what has arrived of a body, without waiting for more. readErr is io.EOF if that was all of it.
func RelayArrived(dst Sink, src Source) (readErr, writeErr error) {
	for {
		view, err := src.Next()
		if view == nil {
			return err, nil
		}
		if _, err := dst.Write(view); err != nil {
			return nil, err
		}
	}
}
