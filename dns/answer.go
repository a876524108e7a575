package dns

import (
	"errors"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// ttl is how many seconds an answer may be kept: the address stays, but a service may leave its service network.
	ttl = 60
	// negativeTTL is how many seconds a name may be taken not to exist (RFC 2308 §5). It is short, since what asks for
	// a service is often started together with it.
	negativeTTL = 5
	// ourUDPSize is the largest message that we take over UDP: what passes every link unfragmented (RFC 9715 §3).
	ourUDPSize = 1232
	// plainUDPSize is the largest message over UDP for who has not asked for larger ones (RFC 1035 §4.2.1).
	plainUDPSize = 512
	// badVersion refuses a version of EDNS other than 0 (RFC 6891 §6.1.3).
	badVersion dnsmessage.RCode = 16
)

// question is a query that is well-formed and that we have an opinion about.
type question struct {
	header dnsmessage.Header
	dnsmessage.Question
	edns edns
}

// edns is what the OPT record of a query says (RFC 6891 §6.1).
type edns struct {
	present  bool
	dnssecOK bool
	version  uint8
	// size is the largest message that the client takes over UDP.
	size uint16
}

// Answer appends the response to a query of a client in the VPC to dst. With forward, the response is not ours to
// give and nothing is appended. A nil response without forward means that the query deserves none: it is too short to
// have an id, or is itself a response. The response may be longer than the client takes over UDP. Answer does not
// allocate when dst has room.
func (s *Server) Answer(dst []byte, vpcID string, query []byte) (response []byte, forward bool) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil || header.Response {
		return nil, false
	}
	q := question{header: header}
	if code := q.parse(&p, query); code != dnsmessage.RCodeSuccess {
		return q.refuse(dst, code), false
	}
	var f finding
	s.find(vpcID, &q, &f)
	switch {
	case f.outcome == endless:
		return q.refuse(dst, dnsmessage.RCodeServerFailure), false
	case f.outcome == outside && s.forward != nil:
		return nil, true
	case f.outcome == outside && f.links == 0:
		return q.refuse(dst, dnsmessage.RCodeNameError), false
	}
	return s.respond(dst, &q, &f), false
}

// authority is the zone that a service's name is in. A custom domain name is a zone of its own, as we know nothing
// of what is around it.
func (s *Server) authority(name *dnsmessage.Name) *dnsmessage.Name {
	if own := s.ownZone(name); own != nil {
		return &own.name
	}
	return name
}

// parse reads what follows the header, and says with which code the query must be refused, if it must.
func (q *question) parse(p *dnsmessage.Parser, query []byte) dnsmessage.RCode {
	if q.header.OpCode != 0 {
		return dnsmessage.RCodeNotImplemented
	}
	// Exactly one question (RFC 9619 §4), and no answers to it.
	if questions, answers, authorities := counts(query); questions != 1 || answers+authorities != 0 {
		return dnsmessage.RCodeFormatError
	}
	var err error
	if q.Question, err = p.Question(); err != nil {
		return dnsmessage.RCodeFormatError
	}
	if q.edns, err = parseEDNS(p); err != nil {
		return dnsmessage.RCodeFormatError
	}
	switch {
	case q.edns.version != 0:
		return badVersion
	case q.Class != dnsmessage.ClassINET || q.Type == dnsmessage.TypeAXFR:
		return dnsmessage.RCodeRefused
	}
	return dnsmessage.RCodeSuccess
}

// counts are the numbers of questions, answers and authorities in a message (RFC 1035 §4.1.1).
func counts(message []byte) (questions, answers, authorities int) {
	at := func(i int) int { return int(message[i])<<8 | int(message[i+1]) }
	return at(4), at(6), at(8)
}

var errBadOPT = errors.New("more than one OPT record, or one that is not at the root")

// parseEDNS reads the additional section. Only its OPT record is of interest.
func parseEDNS(p *dnsmessage.Parser) (e edns, err error) {
	if err := p.SkipAllQuestions(); err != nil {
		return e, err
	}
	if err := p.SkipAllAnswers(); err != nil {
		return e, err
	}
	if err := p.SkipAllAuthorities(); err != nil {
		return e, err
	}
	for {
		h, err := p.AdditionalHeader()
		if err == dnsmessage.ErrSectionDone {
			return e, nil
		}
		if err != nil {
			return e, err
		}
		if h.Type == dnsmessage.TypeOPT {
			if e.present || h.Name.Length != 1 {
				return e, errBadOPT
			}
			e = edns{present: true, dnssecOK: h.DNSSECAllowed(), version: uint8(h.TTL >> 16), size: uint16(h.Class)}
		}
		if err := p.SkipAdditional(); err != nil {
			return e, err
		}
	}
}

// refuse answers with nothing but a code.
func (q *question) refuse(dst []byte, code dnsmessage.RCode) []byte {
	b := q.begin(dst, code, false)
	return q.end(&b, code)
}

// begin starts a response with its header and, as far as it could be read, the question as the client spelled it.
func (q *question) begin(dst []byte, code dnsmessage.RCode, authoritative bool) dnsmessage.Builder {
	b := dnsmessage.NewBuilder(dst, dnsmessage.Header{
		ID:                 q.header.ID,
		Response:           true,
		OpCode:             q.header.OpCode,
		Authoritative:      authoritative,
		RecursionDesired:   q.header.RecursionDesired,
		RecursionAvailable: true,
		CheckingDisabled:   q.header.CheckingDisabled,
		RCode:              code & 0xF,
	})
	must(b.StartQuestions())
	if q.Name.Length > 0 {
		must(b.Question(q.Question))
	}
	return b
}

// end finishes a response with an OPT record if the query had one.
func (q *question) end(b *dnsmessage.Builder, code dnsmessage.RCode) []byte {
	if q.edns.present {
		var h dnsmessage.ResourceHeader
		must(h.SetEDNS0(ourUDPSize, code, q.edns.dnssecOK))
		must(b.StartAdditionals())
		must(b.OPTResource(h, dnsmessage.OPTResource{}))
	}
	message, err := b.Finish()
	must(err)
	return message
}

// must holds that a response can always be built: its names have been parsed, and its sections come in order.
func must(err error) {
	if err != nil {
		panic("dns: a response cannot be built: " + err.Error())
	}
}
