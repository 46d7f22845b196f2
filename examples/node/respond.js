// Serves a queue by shouting back: node respond.js QUEUE [SECONDS that each request takes].
import { status } from '@grpc/grpc-js';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './failure.js';
import { Session } from './session.js';

const CREDIT = 64; // how many requests are handled at a time
const LEASE_MS = 600_000; // the longest that a handler may take; if we die our session ends after 30 s, and its leases too

// The handler. From when the signal aborts nobody waits for its reply.
async function shout(body, seconds, signal) {
  await sleep(seconds * 1000, undefined, { signal });
  if (body.length === 0) throw new RangeError('nothing to shout');
  return Buffer.from(body.toString().toUpperCase());
}

// Handles one request. A handler that throws fails its own request only.
async function answer(session, { lease, body, replyTo }, seconds, signal) {
  const reply = await shout(body, seconds, signal).then(
    (body) => ({ body }),
    (e) => ({ failure: { code: e instanceof RangeError ? status.INVALID_ARGUMENT : status.UNKNOWN, message: e.message } }),
  );
  if (signal.aborted) console.log('cancelled');
  const wanted = replyTo && !signal.aborted;
  await (wanted ? session.do('reply', { lease, ...reply }) : session.do('ack', { leases: [lease] }))
    .catch((e) => wanted && console.error(`respond.js: ${e.message}`)); // LEASE_GONE: another server has the request
}

async function serve(session, queue, seconds) {
  const { consumer } = await session.do('subscribe', { queue, credit: CREDIT, leaseMs: LEASE_MS, create: {} });
  const running = new Map(); // by lease: what aborts the handler, and what waits for it
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => stop.abort());
  console.log(`serving ${queue}`);
  while (!stop.signal.aborted) {
    const poll = { consumers: [consumer], maxMessages: CREDIT, waitMs: 10_000 };
    const { deliveries, cancelled } = await session.do('transfer', poll, stop.signal).catch((e) => {
      if (stop.signal.aborted) return { deliveries: [], cancelled: [] };
      for (const { abort } of running.values()) abort.abort(); // others will handle these
      throw e;
    });
    for (const d of deliveries) {
      const abort = new AbortController();
      const done = answer(session, d, seconds, abort.signal).finally(() => running.delete(d.lease));
      running.set(d.lease, { abort, done });
    }
    for (const lease of cancelled) running.get(lease)?.abort.abort();
  }
  await session.do('unsubscribe', { consumer }); // no further requests; what has begun is finished
  await Promise.all([...running.values()].map(({ done }) => done));
}

await run('respond.js', (queue, seconds = '0') =>
  Session.with('respond.js', (session) => serve(session, queue, Number(seconds))));
