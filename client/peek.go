package client

import (
	"context"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
)

// PeekBrief is Peek with a bound on how much of each body is shown: maxBody
// bytes, 1 to 1,048,576. Small ones leave room for more headers in the answer.
func (a *Admin) PeekBrief(ctx context.Context, queue string, limit, maxBody int) ([]MessageInfo, error) {
	res, err := admin(ctx, a, &pb.PeekRequest{Queue: queue, Limit: uint32(limit), MaxBodyBytes: uint32(maxBody)}, a.service.Peek)
	if err != nil {
		return nil, err
	}
	return each(res.GetMessages(), messageInfo), nil
}
