// Server-sent events. EventSource for what is open to all; fetch where a token has to go along,
// which EventSource cannot do.

export class Refused extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

export function authorization(token) { return token ? { Authorization: `Bearer ${token}` } : {}; }

// Calls `heard(name, data)` for each event until `signal` is aborted or the other side ends.
export async function listen(path, token, heard, signal) {
  const answer = await fetch(path, { headers: authorization(token), cache: 'no-store', signal });
  if (!answer.ok) throw new Refused(answer.status, (await answer.text()).slice(0, 300));
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split('\n\n');
    rest = events.pop();
    for (const event of events) {
      let name = 'message', data = '';
      for (const line of event.split('\n')) {
        if (line.startsWith('event: ')) name = line.slice(7);
        else if (line.startsWith('data: ')) data += line.slice(6);
      }
      if (data) heard(name, JSON.parse(data));
    }
  }
}

// An order; resolves to {status, done, error, needs_confirmation}.
export async function order(path, token, body) {
  const answer = await fetch(path, {
    method: 'POST', cache: 'no-store', body: JSON.stringify(body),
    headers: { 'Content-Type': 'application/json', ...authorization(token) },
  });
  let said = {};
  try { said = await answer.json(); } catch { said = { error: `answered ${answer.status}` }; }
  return { ...said, status: answer.status };
}
