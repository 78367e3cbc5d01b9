/** Requests to the HTTP API. */

/** An error response: `code` for the page, `detail` where there is a finer one, `message` for people. */
export class ApiError extends Error {
  constructor(code, message, detail = "") {
    super(message);
    this.code = code;
    this.detail = detail;
  }
}

const BUSY = 503;
const RETRY_MS = 400; // a busy server is tried once more after this time

/** The JSON at `path`; throws ApiError. */
export const get = (path) => request(path);

/** The JSON response of `path` to an image (a Blob); throws ApiError, with the code "aborted" after `signal`. */
export async function post(path, image, signal) {
  const options = { method: "POST", body: image, headers: { "Content-Type": "application/octet-stream" }, signal };
  try {
    return await request(path, options);
  } catch (error) {
    if (error.status !== BUSY) throw error;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    if (signal?.aborted) throw new ApiError("aborted", "");
    return request(path, options);
  }
}

/** The JSON response of `path` to JSON; throws ApiError. */
export const postJson = (path, content) =>
  request(path, { method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" } });

async function request(path, options) {
  let response, content;
  try {
    response = await fetch(path, options);
    content = await response.json();
  } catch {
    if (options?.signal?.aborted) throw new ApiError("aborted", "");
    throw new ApiError("unreachable", "The server does not respond; is the command still running?");
  }
  if (response.ok) return content;
  const { code, message, detail } = content.error ?? { code: "refused", message: response.statusText };
  throw Object.assign(new ApiError(code, message, detail), { status: response.status });
}

/**
 * Runs one request at a time; of those that arrive meanwhile, only the last is sent next.
 *
 * So a moving slider shows as many predictions as there is time for, and ends with the current one. `send` gets a
 * subject and an AbortSignal. The result's `cancel` ends the request in progress: then neither function is called.
 */
export function latest(send, show, fail) {
  let next = null;
  let running = null; // the AbortController of the request in progress

  async function run(subject) {
    next = { subject };
    if (running) return;
    while (next) {
      const { subject: current } = next;
      next = null;
      running = new AbortController();
      try {
        show(await send(current, running.signal), current);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (error.code !== "aborted") fail(error, current);
      } finally {
        running = null;
      }
    }
  }

  run.cancel = () => {
    next = null;
    running?.abort();
  };
  return run;
}
