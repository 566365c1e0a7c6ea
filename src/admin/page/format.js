// Figures and texts as people read them. Nothing here touches the page.

// Text from outside may hold characters that cannot be seen, or that turn the direction of what
// stands around them. They are shown for what they are.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc]/g;
export const visible = (text) => String(text).replace(UNSEEN,
  (c) => '\\u{' + c.codePointAt(0).toString(16) + '}');

export const count = (n) => Math.round(n).toLocaleString('en');

export function short(n) {
  if (n < 10_000) return count(n);
  for (const [unit, size] of [['T', 1e12], ['G', 1e9], ['M', 1e6], ['k', 1e3]]) {
    if (n >= size) return three(n / size) + unit;
  }
  return count(n);
}

function three(n) {
  return n >= 99.95 ? n.toFixed(0) : n >= 9.995 ? n.toFixed(1) : n.toFixed(2);
}

export function bytes(n) {
  if (n < 1000) return `${Math.round(n)} B`;
  for (const [unit, size] of [['TiB', 2 ** 40], ['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 1024]]) {
    if (n >= size * 0.98) return `${three(n / size)} ${unit}`;
  }
  return '';
}

export function rate(n) {
  if (n === 0) return '0/s';
  if (n < 0.0167) return `${three(n * 3600)}/h`;
  if (n < 0.95) return `${n * 60 < 9.95 ? (n * 60).toFixed(1) : Math.round(n * 60)}/min`;
  return n < 10_000 ? `${n < 100 ? +n.toFixed(1) : count(n)}/s` : `${short(n)}/s`;
}

export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 100) return `${s} s`;
  if (s < 100 * 60) return `${Math.round(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.round(s / 3600)} h`;
  if (s < 1000 * 86400) return `${Math.round(s / 86400)} d`;
  return 'years';
}

export const ago = (ms, now) => (ms ? span((now - ms) / 1000) : '–');

export const moment = (ms) => (ms ? new Date(ms).toISOString().replace('T', ' ').slice(0, 19) + ' UTC' : 'not known');

export const clock = (ms) => new Date(ms).toTimeString().slice(0, 8);
