// What the switch says when something fails: a code, a reason for programs, a text for people.
import { status } from '@grpc/grpc-js';
import { definition } from './proto.js';

const Status = definition['google.rpc.Status'];
const ErrorInfo = definition['google.rpc.ErrorInfo'];

export class Failed extends Error {
  constructor(code, reason, message) {
    super(`${status[code]}${reason && ` (${reason})`}: ${message}`);
    this.code = code;
    this.reason = reason;
  }

  // From the error of a verb. The reason is empty when the switch did not speak: nobody was reached.
  static fromCall({ code, details, metadata }) {
    const [trailer] = metadata?.get('grpc-status-details-bin') ?? [];
    const info = trailer && Status.deserialize(trailer).details.find((any) => any.type_url.endsWith('/google.rpc.ErrorInfo'));
    return new Failed(code, info ? ErrorInfo.deserialize(info.value).reason : '', details);
  }

  // From a Failure. The reason is empty when it was the handler that failed.
  static fromReply({ code, reason, message }) {
    return new Failed(code, reason === 'REASON_UNSPECIFIED' ? '' : reason.replace('REASON_', ''), message);
  }
}

// Runs main with the program's arguments. A failure is a line on stderr and exit code 64 + the gRPC code, as of the
// command switch.
export async function run(name, main) {
  try {
    await main(...process.argv.slice(2));
  } catch (e) {
    if (!(e instanceof Failed)) throw e;
    console.error(`${name}: ${e.message}`);
    process.exitCode = 64 + e.code;
  }
}
