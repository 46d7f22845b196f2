// Calls over one Attach stream, as many at a time as there are to make.
import { status } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { Failed } from './failure.js';
import { Stream } from './stream.js';

const CREDIT = 1024; // how many replies may be under way

export class Caller {
  #calls = new Map(); // by correlation id: who waits for the reply
  #stream;
  #replyTo;

  // Logs in, and makes the queue that the replies come to.
  static async open(name) {
    const caller = new Caller();
    const stream = caller.#stream = new Stream((d) => caller.#take(d), (why) => caller.#end(why));
    await stream.do('login', { name });
    caller.#replyTo = (await stream.do('create')).queue;
    await stream.do('subscribe', { queue: caller.#replyTo, credit: CREDIT });
    return caller;
  }

  // Gives the body of the reply. When the time is up, who runs the request is told.
  async call(queue, body, timeoutMs) {
    const correlationId = randomUUID();
    const reply = new Promise((resolve, reject) => this.#calls.set(correlationId, { resolve, reject }));
    const timer = setTimeout(() => {
      this.#cancel(correlationId);
      this.#calls.get(correlationId).reject(new Failed(status.DEADLINE_EXCEEDED, '', `no reply from ${queue} in time`));
    }, timeoutMs);
    const sent = this.#stream.do('send', { queue, body, replyTo: this.#replyTo, correlationId, timeoutMs });
    try {
      return (await Promise.all([reply, sent]))[0];
    } finally {
      clearTimeout(timer);
      this.#calls.delete(correlationId);
    }
  }

  #take({ lease, correlationId, body, failure }) {
    this.#stream.quietly('ack', { leases: [lease] });
    if (failure) this.#calls.get(correlationId)?.reject(Failed.fromReply(failure));
    else this.#calls.get(correlationId)?.resolve(body);
  }

  #end(why) {
    for (const { reject } of this.#calls.values()) reject(why);
  }

  // A request that still waits is withdrawn, and who runs one is told.
  #cancel(correlationId) {
    this.#stream.quietly('cancel', { replyTo: this.#replyTo, correlationId });
  }

  cancelAll() { for (const correlationId of this.#calls.keys()) this.#cancel(correlationId); }

  close() { return this.#stream.do('logout'); }
}
