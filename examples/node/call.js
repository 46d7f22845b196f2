// Calls a queue and prints the reply: node call.js QUEUE BODY [TIMEOUT_SECONDS].
import { status } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { Failed, run } from './failure.js';
import { Session } from './session.js';

// Sends a request, and polls the session's own queue for the reply to it, or the switch's word why there is none.
async function call(session, queue, body, seconds) {
  const timeoutMs = Math.round(seconds * 1000);
  const end = performance.now() + timeoutMs;
  const { queue: replyTo } = await session.do('create');
  const { consumer } = await session.do('subscribe', { queue: replyTo });
  const correlationId = randomUUID();
  process.once('SIGINT', async () => { // a queued request is withdrawn, and who runs one is told
    const { state } = await session.do('cancel', { replyTo, correlationId });
    console.error(`call.js: ${state}`);
    await session.do('logout');
    process.exit(130);
  });
  await session.do('send', { queue, body, replyTo, correlationId, timeoutMs });
  for (let left; (left = end - performance.now()) > 0;) {
    const poll = { consumers: [consumer], waitMs: Math.ceil(Math.min(left, 10_000)) };
    const { deliveries: [reply] } = await session.do('transfer', poll);
    if (!reply) continue;
    await session.do('ack', { leases: [reply.lease] });
    if (reply.failure) throw Failed.fromReply(reply.failure);
    return reply.body;
  }
  await session.do('cancel', { replyTo, correlationId }); // who runs the request is told
  throw new Failed(status.DEADLINE_EXCEEDED, '', `no reply from queue ${queue} within ${seconds} s`);
}

await run('call.js', (queue, body, seconds = '10') =>
  Session.with('call.js', async (session) => {
    process.stdout.write(await call(session, queue, Buffer.from(body), Number(seconds)));
  }));
