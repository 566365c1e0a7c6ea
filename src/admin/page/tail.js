// Looking into a stream as messages come, and at what an export sends as it leaves. Payloads are
// whatever a program stored: they are decoded here and only ever shown as text.
import { el, setText } from './dom.js';
import { listen, Refused } from './events.js';
import { bytes, clock, count, visible } from './format.js';

const LINES_MAX = 300;
const TEXT_MAX = 4000;

const utf8 = new TextDecoder('utf-8', { fatal: false });
const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));

export function hex(data) {
  const lines = [];
  for (let at = 0; at < data.length && at < 512; at += 16) {
    const part = [...data.slice(at, at + 16)];
    const text = part.map((b) => (b >= 0x20 && b < 0x7f ? String.fromCharCode(b) : '.')).join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${part.map((b) => b.toString(16).padStart(2, '0')).join(' ').padEnd(47)}  ${text}`);
  }
  return lines.join('\n');
}

export function shown(data, format) {
  if (format === 'hex') return hex(data);
  const text = utf8.decode(data);
  if (format === 'json') {
    try { return JSON.stringify(JSON.parse(text), null, 2).split('\n').map(visible).join('\n').slice(0, TEXT_MAX); } catch { /* as text then */ }
  }
  return visible(text).slice(0, TEXT_MAX);
}

function select(label, options) {
  const box = el('select', { 'aria-label': label }, ...options.map(([value, text]) => el('option', { value }, text)));
  return box;
}

class Live {
  // `path()` says what to listen to; `line(name, data)` makes a line, or null.
  constructor(keys, { path, tools, empty }) {
    Object.assign(this, { keys, path });
    this.list = el('ol', { class: 'lines', tabindex: '0', 'aria-label': 'Newest first' });
    this.note = el('p', { class: 'note', role: 'status' }, empty);
    this.toggle = el('button', { type: 'button', onclick: () => (this.stopper ? this.pause() : this.start()) }, 'Start');
    this.filter = el('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter lines', oninput: () => this.redraw() });
    this.node = el('div', { class: 'live' }, el('div', { class: 'bar' }, this.toggle, ...tools, this.filter), this.note, this.list);
    this.seen = [];
    this.passed = 0;
  }

  pause(text = 'Paused.') {
    this.stopper?.abort();
    this.stopper = null;
    setText(this.toggle, this.seen.length ? 'Go on' : 'Start');
    setText(this.note, text);
  }

  async start() {
    this.stopper?.abort();
    const stopper = this.stopper = new AbortController();
    setText(this.toggle, 'Pause');
    setText(this.note, 'Waiting for what comes.');
    try {
      await listen(this.path(), this.keys.token, (name, data) => this.hear(name, data), stopper.signal);
      if (this.stopper === stopper) this.pause(this.over || 'weir ended it.');
    } catch (error) {
      if (this.stopper !== stopper || stopper.signal.aborted) return;
      this.pause(error instanceof Refused && error.status === 401 ? 'Payloads are shown to those with the admin token.' : `Not possible: ${error.message}`);
      if (error instanceof Refused && error.status === 401) {
        const wrong = Boolean(this.keys.token);
        this.keys.forget();
        if (await this.keys.ask(wrong ? 'This token was not accepted.' : '')) this.start();
      }
    }
  }

  hear(name, data) {
    const item = this.item(name, data);
    if (!item) return;
    this.seen.unshift(item);
    this.seen.length = Math.min(this.seen.length, LINES_MAX);
    if (!this.waits) { this.waits = true; requestAnimationFrame(() => { this.waits = false; this.redraw(); }); }
  }

  redraw() {
    const wanted = this.filter.value.toLowerCase();
    const lines = this.seen.filter((item) => !wanted || this.textOf(item).toLowerCase().includes(wanted));
    const made = lines.map((item) => {
      const key = this.keyOf(item);
      if (item.key !== key) { item.key = key; item.node = this.lineOf(item); }
      return item.node;
    });
    this.list.replaceChildren(...made);
    if (this.stopper) setText(this.note, `${count(lines.length)} shown${wanted ? ` of ${count(this.seen.length)}` : ''}, newest first.`);
  }

  stop() { this.stopper?.abort(); this.stopper = null; }
}

export class Tail extends Live {
  constructor(keys, name) {
    const format = select('Shown as', [['text', 'Text'], ['json', 'JSON'], ['hex', 'Hex']]);
    const from = select('From', [['-50', 'Last 50'], ['newest', 'New ones'], ['oldest', 'Oldest on']]);
    super(keys, {
      path: () => `/tail?stream=${encodeURIComponent(name)}&from=${this.next ?? from.value}`,
      tools: [from, format], empty: 'Shows the messages of this stream as they come.',
    });
    this.format = format;
    format.addEventListener('input', () => this.redraw());
    from.addEventListener('input', () => { this.next = undefined; this.seen = []; this.redraw(); if (this.stopper) this.start(); });
  }

  item(name, data) {
    if (name === 'message') {
      this.next = data.sequence + 1;  // where to go on after a pause
      return { ...data, data: bytesOf(data.payload_base64) };
    }
    if (name === 'skipped') return { note: `${count(data.messages)} more came than can be read here` };
    this.over = name === 'gone' ? 'The stream was deleted.' : 'The stream cannot be read.';
    return { note: this.over };
  }

  keyOf() { return this.format.value; }
  textOf(item) { return item.note ?? shown(item.data, this.format.value); }
  lineOf(item) {
    if (item.note) return el('li', { class: 'note' }, item.note);
    return el('li', {}, el('span', { class: 'number' }, `#${item.sequence}`), el('time', {}, clock(item.time_ms)),
      el('pre', {}, shown(item.data, this.format.value)),
      item.payload_bytes > item.data.length ? el('small', {}, `first ${bytes(item.data.length)} of ${bytes(item.payload_bytes)}`) : null);
  }
}

export class Tap extends Live {
  constructor(keys, stream, name) {
    super(keys, {
      path: () => `/tap?stream=${encodeURIComponent(stream)}&export=${encodeURIComponent(name)}`,
      tools: [], empty: 'Shows what this export sends, as it leaves, and what became of it.',
    });
  }

  item(name, data) {
    if (name === 'missed') return { note: `${count(data.batches)} batches went by unseen` };
    return data;
  }

  keyOf() { return 'as it is'; }
  textOf(item) { return item.note ?? [item.outcome, item.error, ...item.sample.map((one) => shown(bytesOf(one.payload_base64), 'text'))].join(' '); }
  lineOf(item) {
    if (item.note) return el('li', { class: 'note' }, item.note);
    const numbers = item.first === item.last ? `#${item.first}` : `#${item.first} to #${item.last}`;
    return el('li', { 'data-level': item.outcome === 'sent' ? 'good' : 'bad' },
      el('span', { class: 'number' }, el('i', { class: 'dot' }), item.outcome), el('time', {}, clock(item.time_ms)),
      el('pre', {}, `${numbers}, ${count(item.messages)} messages, ${bytes(item.bytes)}${item.error ? `\n${visible(item.error)}` : ''}\n` +
        item.sample.map((one) => shown(bytesOf(one.payload_base64), 'text').slice(0, 200)).join('\n')));
  }
}
