// Calls a queue once for each line of standard input, many at a time over one stream, and prints the replies in the
// lines' order: node call_attach.js QUEUE [TIMEOUT_SECONDS] < LINES.
import { createInterface } from 'node:readline';
import { Caller } from './caller.js';
import { run } from './failure.js';

const WINDOW = 256; // calls at a time

await run('call_attach.js', async (queue, seconds = '10') => {
  const caller = await Caller.open('call_attach.js');
  const calls = []; // under way, oldest first: each gives its reply, or how it failed
  const print = async () => {
    const reply = await calls.shift();
    if (reply instanceof Error) throw reply;
    process.stdout.write(`${reply}\n`);
  };
  process.once('SIGINT', async () => {
    caller.cancelAll();
    await caller.close();
    process.exit(130);
  });
  try {
    for await (const line of createInterface({ input: process.stdin })) {
      calls.push(caller.call(queue, Buffer.from(line), Number(seconds) * 1000).catch((e) => e));
      if (calls.length === WINDOW) await print();
    }
    while (calls.length > 0) await print();
  } finally {
    await caller.close();
  }
});
