// The protocol, loaded from the .proto files of this repository.
import loader from '@grpc/proto-loader';
import { fileURLToPath } from 'node:url';

export const definition = loader.loadSync(['messageswitch/v1/data.proto', 'google_rpc.proto'], {
  includeDirs: ['../../proto', '..'].map((dir) => fileURLToPath(new URL(dir, import.meta.url))),
  longs: String, // leases are uint64: as numbers they would lose their last digits
  enums: String,
  defaults: true,
  oneofs: true, // a frame's verb and event say which field is set
});
