// Calls a queue and prints the reply: node call.js QUEUE BODY [TIMEOUT_SECONDS].
import { randomUUID } from 'node:crypto';
import { Failed, run } from './failure.js';
import { Session } from './session.js';

// Sends a request, and polls the session's own queue for the reply to it.
async function call(session, queue, body, seconds) {
  const { queue: replyTo } = await session.do('create');
  const { consumer } = await session.do('subscribe', { queue: replyTo });
  const correlationId = randomUUID();
  process.once('SIGINT', async () => { // a queued request is withdrawn, and who runs one is told
    const { state } = await session.do('cancel', { replyTo, correlationId });
    console.error(`call.js: ${state}`);
    await session.do('logout');
    process.exit(130);
  });
  await session.do('send', { queue, body, replyTo, correlationId, timeoutMs: Math.round(seconds * 1000) });
  for (;;) { // until the reply, or the switch's word that there will be none
    const { deliveries: [reply] } = await session.do('transfer', { consumers: [consumer], waitMs: 10_000 });
    if (!reply) continue;
    await session.do('ack', { leases: [reply.lease] });
    if (reply.failure) throw Failed.fromReply(reply.failure);
    return reply.body;
  }
}

await run('call.js', (queue, body, seconds = '10') =>
  Session.with('call.js', async (session) => {
    process.stdout.write(await call(session, queue, Buffer.from(body), Number(seconds)));
  }));
