/** Requests to the HTTP API. */

/** An error response: `code` for the page, `message` for people. */
export class ApiError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const BUSY = 503;
const RETRY_MS = 400; // a busy server is tried once more after this time

/** The JSON at `path`; throws ApiError. */
export const get = (path) => request(path);

/** The JSON response of `path` to an image (a Blob); throws ApiError. */
export async function post(path, image) {
  const options = { method: "POST", body: image, headers: { "Content-Type": "application/octet-stream" } };
  try {
    return await request(path, options);
  } catch (error) {
    if (error.status !== BUSY) throw error;
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
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
    throw new ApiError("unreachable", "The server does not respond; is the command still running?");
  }
  if (response.ok) return content;
  const { code, message } = content.error ?? { code: "refused", message: response.statusText };
  throw Object.assign(new ApiError(code, message), { status: response.status });
}

/**
 * Runs one request at a time; of those that arrive meanwhile, only the last is sent next.
 *
 * So a moving slider shows as many predictions as there is time for, and ends with the current one.
 */
export function latest(send, show, fail) {
  let next = null;
  let busy = false;
  return async (subject) => {
    next = { subject };
    if (busy) return;
    busy = true;
    while (next) {
      const { subject: current } = next;
      next = null;
      try {
        show(await send(current), current);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        fail(error, current);
      }
    }
    busy = false;
  };
}
