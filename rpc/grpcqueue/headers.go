package grpcqueue

import (
	"encoding/base64"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Headers of a message that are not metadata. gRPC keeps names that begin with
// "grpc-" for itself, so no application has them.
const (
	// headerMethod is the full method of a request: "/pkg.Service/Method".
	headerMethod = "grpc-method"
	// headerBody is bodyNone when the body of a request, a part or a reply is no
	// message of the call.
	headerBody = "grpc-body"
	bodyNone   = "none"
)

// Marks in names of headers. None of them can be in a metadata key.
const (
	// ofTrailer begins the names of trailer metadata in a reply.
	ofTrailer = ";"
	// escaped begins names that the switch would refuse.
	escaped = "/"
	// separator stands before the number of a second or later value.
	separator = ";"
	// switchPrefix begins the names of headers that only the switch sets.
	switchPrefix = "switch-"
)

const binarySuffix = "-bin"

// putMetadata adds metadata to headers, under names that begin with prefix.
func putMetadata(headers map[string]string, prefix string, md metadata.MD) {
	for key, values := range md {
		key = strings.ToLower(key)
		if !travels(key) {
			continue
		}
		name := prefix + key
		if strings.HasPrefix(key, switchPrefix) {
			name = prefix + escaped + key
		}
		for i, value := range values {
			if strings.HasSuffix(key, binarySuffix) {
				value = base64.RawStdEncoding.EncodeToString([]byte(value))
			}
			headers[numbered(name, i+1)] = value
		}
	}
}

// numbered is the name of a header's n-th value, from 1.
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	return name + separator + strconv.Itoa(n)
}

// metadataOf gives the metadata of headers whose names begin with prefix. It
// leaves out what is no metadata: gRPC would refuse the whole call over it.
func metadataOf(headers map[string]string, prefix string) (metadata.MD, error) {
	md := metadata.MD{}
	for name := range headers {
		rest, ours := strings.CutPrefix(name, prefix)
		key := strings.TrimPrefix(rest, escaped)
		if !ours || !isKey(key) || !travels(key) || strings.HasPrefix(rest, switchPrefix) {
			continue
		}
		for n := 1; ; n++ {
			value, is := headers[numbered(name, n)]
			if !is {
				break
			}
			if strings.HasSuffix(key, binarySuffix) {
				b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
				if err != nil {
					return nil, status.Errorf(codes.InvalidArgument, "the value of header %q is not base64: %v", numbered(name, n), err)
				}
				value = string(b)
			} else if !printable(value) {
				continue
			}
			md[key] = append(md[key], value)
		}
	}
	return md, nil
}

// isKey reports whether a name can be that of metadata. Names of later values
// can't, so they are found with the first one.
func isKey(name string) bool {
	for _, r := range name {
		if ('a' > r || r > 'z') && ('0' > r || r > '9') && r != '-' && r != '_' && r != '.' {
			return false
		}
	}
	return name != ""
}

// checkMetadata refuses values that gRPC does not carry, as grpc-go does.
func checkMetadata(md metadata.MD) error {
	for key, values := range md {
		if strings.HasSuffix(strings.ToLower(key), binarySuffix) {
			continue
		}
		for _, value := range values {
			if !printable(value) {
				return status.Errorf(codes.Internal, "the value of metadata %q is not printable ASCII: give the key the suffix %s", key, binarySuffix)
			}
		}
	}
	return nil
}

// printable reports whether a text can be a value of metadata.
func printable(value string) bool {
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}

// travels reports whether metadata of the key means anything beyond the
// connection that it came by.
func travels(key string) bool {
	switch key {
	case "", "content-type", "te", "user-agent", headerMethod, headerBody,
		"grpc-timeout", "grpc-encoding", "grpc-accept-encoding", "grpc-message-type",
		"grpc-status", "grpc-message", "grpc-status-details-bin":
		return false
	}
	return key[0] != ':'
}
