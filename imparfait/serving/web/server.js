/** What the server is asked, and what is said when it has no answer. */

/** No answer: `code` for the page, `message` for people, both the server's own. */
export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const BUSY = 503;
const PAUSE = 400; // milliseconds until a busy server is asked once more

/** The JSON at `path`; throws Refused. */
export const get = (path) => asked(path);

/** The JSON that `path` answers to a picture (a Blob); throws Refused. */
export async function post(path, picture) {
  const order = { method: "POST", body: picture, headers: { "Content-Type": "application/octet-stream" } };
  try {
    return await asked(path, order);
  } catch (error) {
    if (error.status !== BUSY) throw error;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    return asked(path, order);
  }
}

async function asked(path, order) {
  let response, content;
  try {
    response = await fetch(path, order);
    content = await response.json();
  } catch {
    throw new Refused("unreachable", "The server does not answer; is `imparfait serve` still running?");
  }
  if (response.ok) return content;
  const { code, message } = content.error ?? { code: "refused", message: response.statusText };
  throw Object.assign(new Refused(code, message), { status: response.status });
}

/**
 * Asks one thing at a time; of what is wanted meanwhile, only the last is asked next.
 *
 * So a slider that is pulled shows all the answers there is time for, and ends with the one that counts.
 */
export function latest(ask, show, fail) {
  let next = null;
  let busy = false;
  return async (wanted) => {
    next = { wanted };
    if (busy) return;
    busy = true;
    while (next) {
      const { wanted: now } = next;
      next = null;
      try {
        show(await ask(now), now);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        fail(error, now);
      }
    }
    busy = false;
  };
}
