package server_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/d3b0a776/switch/proto/messageswitch/v1"
	"github.com/d3b0a776/switch/server"
)

// TestServices describes consumers, in both forms of the protocol.
func TestServices(t *testing.T) {
	for name, play := range serviceCases {
		for _, f := range forms {
			t.Run(name+"/"+f.name, func(t *testing.T) { inFakeTime(t, f, server.Config{}, play) })
		}
	}
}

// described is a description with something in every field.
func described(name string) *pb.ServiceInfo {
	return &pb.ServiceInfo{
		Name: name, Version: "1.2.3", Description: "makes pictures smaller", Instance: "i1", AnswersPings: true,
		Methods: []*pb.MethodInfo{{Name: "Resize", RequestType: "Picture", ResponseType: "Picture", ClientStreaming: true, ServerStreaming: true, Description: "one"},
			{Name: "Sizes"}},
		Metadata: map[string]string{"region": "eu"},
	}
}

func services(s *scene, req *pb.ListServicesRequest) []*pb.ServiceInstance {
	s.Helper()
	return admin(s, pb.AdminServiceClient.ListServices, req).GetInstances()
}

var serviceCases = map[string]func(*scene){
	"what it says and does is shown": func(s *scene) {
		p, w := s.client("p"), s.mortal("w")
		w.create("q", nil)
		c := must[*pb.SubscribeResponse](w, &pb.SubscribeRequest{Queue: "q", Credit: 5, Service: described("resize")}).GetConsumer()
		reply := p.temporary()
		p.request("q", reply, "1")
		d := w.take()
		s.pass(2 * time.Second)
		must[*pb.ReplyResponse](w, &pb.ReplyRequest{Lease: d.GetLease(), Failure: &pb.Failure{Code: int32(codes.NotFound), Message: "no such picture"}})
		s.pass(3 * time.Second)
		p.request("q", reply, "2")
		w.take()

		got := services(s, &pb.ListServicesRequest{})
		want := &pb.ServiceInstance{Info: described("resize"), Queue: "q", Consumer: c, SessionName: "w", Connected: true, AgeMs: 5000, Holding: 1, Credit: 5,
			Stats: &pb.ServiceStats{Delivered: 2, Replied: 1, Failed: 1, BusyUs: 2_000_000, LastFailure: "no such picture", LastFailureAgeMs: 3000}}
		if len(got) != 1 || !proto.Equal(got[0], want) {
			s.Errorf("got %v, want %v", got, want)
		}
		w.dies()
		if got := services(s, &pb.ListServicesRequest{Prefix: "res"}); s.form.name == "attach" && (len(got) != 1 || got[0].GetConnected()) {
			s.Errorf("without its connection it is %v", got)
		}
		s.pass(2 * time.Hour)
		if got := services(s, &pb.ListServicesRequest{}); len(got) != 0 {
			s.Errorf("when its session has ended there is %v", got)
		}
	},
	"page by page": func(s *scene) {
		w := s.client("w")
		w.create("q", nil)
		var want []string
		for i := range 10 {
			name := "s." + strings.Repeat("x", i)
			for range 3 {
				must[*pb.SubscribeResponse](w, &pb.SubscribeRequest{Queue: "q", Service: described(name)})
				want = append(want, name)
			}
		}
		for _, limit := range []uint32{1, 4, 29, 30, 0} {
			var names []string
			for req := (&pb.ListServicesRequest{Prefix: "s.", Limit: limit}); ; {
				res := admin(s, pb.AdminServiceClient.ListServices, req)
				for _, in := range res.GetInstances() {
					names = append(names, in.GetInfo().GetName())
				}
				if req.Cursor = res.GetCursor(); req.GetCursor() == "" {
					break
				}
			}
			if !slices.Equal(names, want) {
				s.Errorf("with a limit of %d: %v", limit, names)
			}
		}
		if got := services(s, &pb.ListServicesRequest{Prefix: "t"}); got != nil {
			s.Errorf("got %v", got)
		}
	},
	"large ones come in several answers": func(s *scene) {
		w := s.client("w")
		w.create("q", nil)
		for range 300 {
			info := described("s")
			info.Description = strings.Repeat("d", 16_000)
			must[*pb.SubscribeResponse](w, &pb.SubscribeRequest{Queue: "q", Service: info})
		}
		n, answers := 0, 0
		for req := (&pb.ListServicesRequest{}); answers == 0 || req.GetCursor() != ""; answers++ {
			res := admin(s, pb.AdminServiceClient.ListServices, req)
			n += len(res.GetInstances())
			req.Cursor = res.GetCursor()
		}
		if n != 300 || answers != 2 {
			s.Errorf("%d instances came in %d answers", n, answers)
		}
	},
	"what can't be is refused": func(s *scene) {
		w := s.client("w")
		w.create("q", nil)
		for want, change := range map[string]func(*pb.ServiceInfo){
			"service.name":            func(i *pb.ServiceInfo) { i.Name = "" },
			"control character":       func(i *pb.ServiceInfo) { i.Name = "a\nb" },
			"service.methods[1].name": func(i *pb.ServiceInfo) { i.Methods[1].Name = "" },
			"at most 256":             func(i *pb.ServiceInfo) { i.Methods = make([]*pb.MethodInfo, 257) },
			"a key of":                func(i *pb.ServiceInfo) { i.Metadata[""] = "" },
			"at most 16384":           func(i *pb.ServiceInfo) { i.Description = strings.Repeat("d", 17_000) },
			"service.instance":        func(i *pb.ServiceInfo) { i.Instance = strings.Repeat("i", 256) },
			"at most 64": func(i *pb.ServiceInfo) {
				for r := range rune(64) {
					i.Metadata[string('a'+r)] = ""
				}
			},
		} {
			info := described("s")
			change(info)
			f := w.refused(&pb.SubscribeRequest{Queue: "q", Service: info}, codes.InvalidArgument, pb.Reason_REASON_INVALID)
			if !strings.Contains(f.GetMessage(), want) {
				s.Errorf("the refusal says %q, not %q", f.GetMessage(), want)
			}
		}
		if n := len(s.describe("q").GetConsumers()); n != 0 {
			s.Errorf("%d consumers were made", n)
		}
		for _, cursor := range []string{"x", "1.2", "1.*.s", "*.1.s"} {
			_, err := pb.NewAdminServiceClient(s.sw.Conn()).ListServices(s.Context(), &pb.ListServicesRequest{Cursor: cursor})
			s.isRefusal(refusalOf(err), codes.InvalidArgument, pb.Reason_REASON_INVALID)
		}
		_, err := pb.NewAdminServiceClient(s.sw.Conn()).ListServices(s.Context(), &pb.ListServicesRequest{Limit: 10_001})
		s.isRefusal(refusalOf(err), codes.InvalidArgument, pb.Reason_REASON_INVALID)
	},
}
