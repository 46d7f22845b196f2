// A session with the switch at $SWITCH_ADDR, by default 127.0.0.1:7411.
import { credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { Failed } from './failure.js';
import { definition } from './proto.js';

const { DataService } = loadPackageDefinition(definition).messageswitch.v1;

export const connect = () => new DataService(process.env.SWITCH_ADDR ?? '127.0.0.1:7411', credentials.createInsecure(), {
  'grpc.keepalive_time_ms': 20_000, // a dead link is found within 30 s
  'grpc.keepalive_timeout_ms': 10_000,
});

export class Session {
  #client = connect();
  #token = '';

  // Logs in, lets work(session) do its work, and logs out.
  static async with(name, work) {
    const session = new Session();
    try {
      session.#token = (await session.do('login', { name })).session;
      try {
        return await work(session);
      } finally {
        await session.do('logout');
      }
    } finally {
      session.#client.close();
    }
  }

  // Does one verb of DataService, and gives its answer. Aborting the signal ends the wait for it.
  do(verb, request = {}, signal) {
    return new Promise((resolve, reject) => {
      const cancel = () => call.cancel();
      const call = this.#client[verb]({ session: this.#token, ...request }, (error, answer) => {
        signal?.removeEventListener('abort', cancel);
        if (error) reject(Failed.fromCall(error));
        else resolve(answer);
      });
      signal?.addEventListener('abort', cancel);
    });
  }
}
