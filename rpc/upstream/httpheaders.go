package upstream

import (
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// Headers of a message that are not HTTP headers.
const (
	// headerMethod is the method of a request; POST without it.
	headerMethod = "http-method"
	// headerPath is path and query of a request; "/" without it.
	headerPath = "http-path"
	// headerErrors, with the value "reply", asks for statuses of 400 and more as
	// replies; without it they are failures.
	headerErrors = "http-errors"
	// headerStatus is the status of an answer, such as "200".
	headerStatus = "http-status"
)

const (
	// What is left of the protocol's 64 headers and 16 KiB for those of an answer; the
	// others are left out.
	maxHeaders     = 60
	maxHeaderBytes = 15 << 10
	// maxNameBytes is the longest name of a header in the protocol.
	maxNameBytes = 255
)

// ours begin names of headers that are no HTTP headers.
var ours = []string{"http-", "grpc-", "switch-"}

// hopByHop are about the connection, not about the message (RFC 9110, 7.6.1), or follow from
// it.
var hopByHop = []string{
	"connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
	"proxy-authenticate", "proxy-authorization", "host", "content-length", "accept-encoding",
}

// passes says whether a header of a message is an HTTP header that is passed on.
func passes(name string) bool {
	name = strings.ToLower(name)
	return !slices.Contains(hopByHop, name) && !slices.ContainsFunc(ours, func(p string) bool { return strings.HasPrefix(name, p) })
}

// requestHeaders adds the headers of a request. The second value of one is
// under NAME;2, and so on.
func requestHeaders(to http.Header, headers map[string]string) {
	for name, value := range headers {
		if !passes(name) || !isToken(name) {
			continue
		}
		to.Add(name, strings.Map(printable, value))
		for n := 2; ; n++ {
			value, is := headers[name+";"+strconv.Itoa(n)]
			if !is {
				break
			}
			to.Add(name, strings.Map(printable, value))
		}
	}
}

// isToken says whether a name can be that of an HTTP header.
func isToken(name string) bool {
	for _, r := range name {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r) {
			return false
		}
	}
	return name != ""
}

// printable leaves out what can't be in the value of an HTTP header.
func printable(r rune) rune {
	if r < ' ' && r != '\t' || r == 0x7f {
		return -1
	}
	return r
}

// replyHeaders are the status and the headers of an answer. It leaves out what a message
// can't have: the answer with all others is worth more.
func replyHeaders(res *http.Response) map[string]string {
	headers := map[string]string{headerStatus: strconv.Itoa(res.StatusCode)}
	size := 0
	for _, name := range slices.Sorted(maps.Keys(res.Header)) {
		if !passes(name) {
			continue
		}
		for i, value := range res.Header[name] {
			key := strings.ToLower(textproto.TrimString(name))
			if i > 0 {
				key += ";" + strconv.Itoa(i+1)
			}
			if len(key) > maxNameBytes {
				break // the numbers of later values are no shorter
			}
			value = strings.ToValidUTF8(value, "\uFFFD")
			if size += len(key) + len(value); size > maxHeaderBytes || len(headers) > maxHeaders {
				return headers
			}
			headers[key] = value
		}
	}
	return headers
}

// codeOf is the gRPC code of an HTTP status, as google/rpc/code.proto maps them.
func codeOf(status int) codes.Code {
	switch status {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound, http.StatusGone:
		return codes.NotFound
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusPreconditionFailed:
		return codes.FailedPrecondition
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusRequestedRangeNotSatisfiable:
		return codes.OutOfRange
	case 499: // nginx: the client went away
		return codes.Canceled
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return codes.Unimplemented
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout, http.StatusRequestTimeout:
		return codes.DeadlineExceeded
	}
	switch {
	case status >= 500:
		return codes.Internal
	case status >= 400:
		return codes.InvalidArgument
	}
	return codes.OK
}
