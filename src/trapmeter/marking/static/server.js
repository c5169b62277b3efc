// Requests to the server. Each returns what came back, or the reason why nothing did as `failure`.

export const STOPPED = "the server has stopped; restart `trapmeter points` and open the address that it prints";

export async function get(path) {
  let response;
  try { response = await fetch(path); } catch { return { failure: STOPPED }; }
  return response.ok ? { values: await response.json() } : { failure: await response.text() };
}

// A change: the photograph after it, with a message if it was refused.
export async function post(path, body) {
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  } catch { return { failure: `NOT SAVED: ${STOPPED}` }; }
  if (!response.headers.get("Content-Type")?.startsWith("application/json")) return { failure: `NOT SAVED: ${await response.text()}` };
  const values = await response.json();
  if (values.version === undefined) return { failure: "NOT SAVED: the server didn't understand this change" };
  return { status: response.status, values };
}
