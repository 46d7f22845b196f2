// A session on one Attach stream: verbs go in; answers and deliveries come out.
//
// It ends with its connection. To come back to the session, log in with its token on a new stream, and send again what
// AttachResponse.applied does not cover; the Go client does that.
import { Failed } from './failure.js';
import { connect } from './session.js';

export class Stream {
  #client = connect();
  #stream = this.#client.attach();
  #tag = 0; // of the next frame; zero is for Login
  #seen = '0'; // answers that have come, so that the switch can forget them
  #waiting = new Map(); // by tag: who waits for the answer
  #ended; // why the stream has ended

  // onDelivery gets each delivery, onEnd why the stream has ended.
  constructor(onDelivery, onEnd) {
    this.#stream.on('data', ({ frames, answersSent }) => {
      if (answersSent !== '0') this.#seen = answersSent;
      for (const { tag, event, [event]: value } of frames) {
        if (event === 'delivery') onDelivery(value);
        else this.#answer(tag, value, event === 'failure' && Failed.fromReply(value));
      }
    });
    const end = (why) => {
      this.#ended ??= why;
      for (const tag of this.#waiting.keys()) this.#answer(tag, undefined, this.#ended);
      this.#client.close();
      onEnd(this.#ended);
    };
    this.#stream.on('error', (e) => end(Failed.fromCall(e)));
    this.#stream.on('end', () => end(new Error('the stream has ended')));
  }

  // Does one verb, the first of them 'login', and gives its answer.
  do(verb, request = {}) {
    if (this.#ended) return Promise.reject(this.#ended);
    const answer = new Promise((resolve, reject) => this.#waiting.set(String(this.#tag), { resolve, reject }));
    this.#write({ [verb]: request });
    return answer;
  }

  // Does one verb that is answered only if it fails, and nobody looks at that.
  quietly(verb, request) {
    this.#write({ quiet: true, [verb]: request });
  }

  #write(frame) {
    if (!this.#ended) this.#stream.write({ frames: [{ tag: this.#tag++, ...frame }], answersReceived: this.#seen });
  }

  #answer(tag, value, failed) {
    const { resolve, reject } = this.#waiting.get(tag) ?? {};
    this.#waiting.delete(tag);
    if (failed) reject?.(failed);
    else resolve?.(value);
  }
}
