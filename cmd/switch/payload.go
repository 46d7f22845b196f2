package main

import "unicode/utf8"

// A payload is a body in a document: as text if it is UTF-8, else in base64.
type payload struct {
	Body   *string `json:"body,omitempty"`
	Base64 []byte  `json:"body_base64,omitempty"`
}

func newPayload(body []byte) payload {
	if !utf8.Valid(body) {
		return payload{Base64: body}
	}
	text := string(body)
	return payload{Body: &text}
}
