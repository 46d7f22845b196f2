package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"

	"github.com/d3b0a776/switch/server/internal/queue"
)

// ErrTokenInvalid says that a token was not made by this switch.
var ErrTokenInvalid = errors.New("the session token was not made by this switch; log in again")

// macBytes is how much of the HMAC-SHA256 a token carries: 128 bits can't be
// guessed.
const macBytes = 16

// Token is the secret by which a session is named outside: its id, and a
// signature that only this switch can make.
func (e *Engine) Token(id queue.SessionID) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(id))
	return base64.RawURLEncoding.EncodeToString(append(b, e.sign(b)...))
}

// ParseToken is the session of a token; ErrTokenInvalid for anything else.
func (e *Engine) ParseToken(token string) (queue.SessionID, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(8+macBytes) {
		return 0, ErrTokenInvalid // before it is decoded: that skips line ends
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(b) != 8+macBytes || !hmac.Equal(b[8:], e.sign(b[:8])) {
		return 0, ErrTokenInvalid
	}
	return queue.SessionID(binary.BigEndian.Uint64(b)), nil
}

func (e *Engine) sign(b []byte) []byte {
	h := hmac.New(sha256.New, e.start.Key[:])
	h.Write(b)
	return h.Sum(nil)[:macBytes]
}
