package frames

import (
	"bytes"
	"testing"
)

func TestSpeak(t *testing.T) {
	for _, tag := range []uint64{1, 127, 128, 1 << 40} {
		for _, size := range []int{0, 100, 127, 128, 1 << 17} {
			want := Send{Queue: "q", Body: bytes.Repeat([]byte{1}, size), Sequence: 7}
			b := want.Append(nil, tag, true)
			Speak(b)
			_, err := ReadRequest(b, func(f *ClientFrame) error {
				var got Send
				if err := got.Unmarshal(f.Raw); err != nil {
					return err
				}
				if f.Tag != tag || f.Quiet || got.Queue != want.Queue || !bytes.Equal(got.Body, want.Body) || got.Sequence != 7 {
					t.Errorf("tag %d, %d bytes: read %+v", tag, size, f)
				}
				return nil
			})
			if err != nil {
				t.Errorf("tag %d, %d bytes: %v", tag, size, err)
			}
		}
	}
}
