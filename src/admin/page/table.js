// The table of streams and their exports. Ten thousand rows are as quick as ten: only those that
// can be seen exist, between two empty ones that are as high as the rest.
import { $, el, svg, setText, setAttr } from './dom.js';
import { ago, bytes, count, moment, rate, short, span, visible } from './format.js';
import { spark } from './chart.js';

const SPARK = { width: 96, height: 24 };
const OVERSCAN = 6;
const LEVELS = ['good', 'warn', 'bad'];

const narrow = matchMedia('(max-width: 760px)');
// As in the style sheet.
const isCalm = (item) => (item.one ? item.judged.level === 0 && !item.one.waiting : item.row.judged.own.level === 0);
const heightOf = (item) => (!narrow.matches ? 40 : isCalm(item) ? 52 : 74);

export class Table {
  // `open(id)` shows a stream; `curves(ids)` fetches what small curves of these need.
  constructor({ open, curves, curveOf, now }) {
    Object.assign(this, { open, curves, curveOf, now });
    this.items = [];
    this.tops = [0];
    this.made = new Map();
    this.above = el('tr', { 'aria-hidden': 'true', class: 'space' });
    this.below = el('tr', { 'aria-hidden': 'true', class: 'space' });
    this.body = $('rows');
    this.body.append(this.above, this.below);
    this.scroller = $('scroller');
    this.scroller.addEventListener('scroll', () => this.draw(), { passive: true });
    addEventListener('resize', () => this.draw());
    narrow.addEventListener('change', () => { this.made.forEach((row) => row.node.remove()); this.made.clear(); this.measure(); this.draw(); });
    this.body.addEventListener('click', (event) => {
      const row = event.target.closest('tr[data-id]');
      if (row) this.open(Number(row.dataset.id), row.dataset.export);
    });
  }

  // `rows`: [{id, data, judged}], in the order to be shown.
  show(rows) {
    this.items = [];
    for (const row of rows) {
      this.items.push({ key: `${row.id}`, row });
      row.data.exports.forEach((one, i) => this.items.push({ key: `${row.id} ${one.name}`, row, one, judged: row.judged.exports[i] }));
    }
    this.measure();
    $('table').setAttribute('aria-rowcount', this.items.length + 1);
    this.draw();
  }

  // Where each row begins; one more for the end.
  measure() {
    let top = 0;
    this.tops = this.items.map((item) => { const at = top; top += heightOf(item); return at; });
    this.tops.push(top);
  }

  // The row that lies at this height.
  rowAt(height) {
    let low = 0, high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= height) low = middle + 1; else high = middle;
    }
    return low;
  }

  draw() {
    const seen = this.scroller.scrollTop - this.body.offsetTop;
    const view = this.scroller.clientHeight || 600;
    const first = Math.max(0, this.rowAt(seen) - OVERSCAN);
    const last = Math.min(this.items.length, this.rowAt(seen + view) + 1 + OVERSCAN);
    this.above.style.height = `${this.tops[first]}px`;
    this.below.style.height = `${this.tops.at(-1) - this.tops[last]}px`;
    const wanted = new Set();
    let before = this.above;
    const ids = new Set();
    for (let i = first; i < last; i++) {
      const item = this.items[i];
      wanted.add(item.key);
      ids.add(item.row.id);
      let made = this.made.get(item.key);
      if (!made) this.made.set(item.key, made = item.one ? makeExport(item) : makeStream(item));
      setAttr(made.node, 'aria-rowindex', String(i + 2));
      if (before.nextSibling !== made.node) before.after(made.node);
      before = made.node;
      (item.one ? fillExport : fillStream)(made, item, this.now(), this.curveOf);
    }
    for (const [key, made] of this.made) {
      if (wanted.has(key)) continue;
      made.node.remove();
      this.made.delete(key);
    }
    if (ids.size) this.curves([...ids]);
  }
}

function cell(name, ...children) { return el('td', { role: 'cell', class: name }, ...children); }

function curve() {
  const line = svg('path', {});
  return [line, svg('svg', { viewBox: `0 0 ${SPARK.width} ${SPARK.height}`, class: 'spark', 'aria-hidden': 'true' }, line)];
}

function make(item, kind, name) {
  const parts = {
    word: el('b', {}), why: el('span', { class: 'why' }), rate: el('span', {}), rateBytes: el('small', {}),
    amount: el('span', {}), more: el('small', {}), old: el('span', {}), fresh: el('span', {}), left: el('span', {}),
  };
  const [line, picture] = curve();
  const bar = el('i', {});
  const node = el('tr', { role: 'row', class: kind, 'data-id': item.row.id },
    cell('c-name', ...name),
    cell('c-state', el('i', { class: 'dot', 'aria-hidden': 'true' }), parts.word, parts.why),
    cell('c-rate', parts.rate, parts.rateBytes),
    cell('c-trend', picture),
    cell('c-amount', parts.amount, parts.more, el('span', { class: 'meter', 'aria-hidden': 'true' }, bar)),
    cell('c-old', parts.old), cell('c-new', parts.fresh), cell('c-left', parts.left));
  return { node, bar, line, ...parts };
}

function makeStream(item) {
  const badge = el('small', { class: 'badge' });
  const made = make(item, 'stream', [el('button', { type: 'button', class: 'name' }, visible(item.row.data.name)), badge]);
  return Object.assign(made, { badge });
}

function makeExport(item) {
  const target = el('small', { class: 'target' });
  const made = make(item, 'export', [el('span', { class: 'arrow', 'aria-hidden': 'true' }, '→'),
    el('button', { type: 'button', class: 'name' }, visible(item.one.name)), target]);
  made.node.dataset.export = item.one.name;
  return Object.assign(made, { target });
}

function state(made, level, word, why) {
  setAttr(made.node, 'data-level', LEVELS[level] || 'none');
  setText(made.word, visible(word));
  setText(made.why, visible(why || ''));
  setAttr(made.why, 'title', visible(why || ''));
}

function fillStream(made, { row }, now, curveOf) {
  const { data, judged } = row;
  const own = judged.own;
  const empty = data.next <= data.oldest;
  const calm = own.level === 0;
  state(made, own.level, own.word, own.why || (calm && !data.exports.length ? 'kept here, not exported' : ''));
  made.node.classList.toggle('calm', calm);
  setText(made.badge, [data.memory && 'in memory', data.overwrites && 'overwrites'].filter(Boolean).join(', '));
  setText(made.rate, rate(data.in));
  setText(made.rateBytes, data.in_bytes ? `${bytes(data.in_bytes)}/s` : '');
  setText(made.amount, bytes(data.bytes));
  setText(made.more, ` of ${bytes(data.bytes_max)}`);
  const part = data.bytes_max ? Math.min(1, data.bytes / data.bytes_max) : 0;
  made.bar.style.width = `${(part * 100).toFixed(1)}%`;
  made.bar.className = data.overwrites ? '' : part >= 0.98 ? 'bad' : part >= 0.9 ? 'warn' : '';
  setText(made.old, empty ? '–' : ago(data.oldest_ms, now));
  setAttr(made.old, 'title', moment(empty ? 0 : data.oldest_ms));
  setText(made.fresh, ago(data.newest_ms, now));
  setAttr(made.fresh, 'title', moment(data.newest_ms));
  setText(made.left, data.full_s ? `full in ${span(data.full_s)}` : '');
  setAttr(made.line, 'd', spark(curveOf(row.id)?.in, SPARK.width, SPARK.height));
}

function fillExport(made, { row, one, judged }, now, curveOf) {
  state(made, judged.level, judged.word, judged.why);
  made.node.classList.toggle('calm', judged.level === 0 && !one.waiting);
  setText(made.target, visible(`${one.redirected_to ? `${one.redirected_to} (redirected)` : `${one.type} ${one.target || ''}`}`));
  setAttr(made.target, 'title', made.target.textContent);
  setText(made.rate, rate(one.out));
  setText(made.rateBytes, one.out_bytes ? `${bytes(one.out_bytes)}/s` : '');
  setText(made.amount, one.waiting ? `${short(one.waiting)} waiting` : 'nothing waits');
  setAttr(made.amount, 'title', `${count(one.waiting)} messages, ${bytes(one.waiting_bytes || 0)}`);
  setText(made.more, one.waiting ? ` ${bytes(one.waiting_bytes || 0)}` : '');
  setText(made.old, one.waiting ? ago(one.oldest_ms, now) : '–');
  setAttr(made.old, 'title', moment(one.waiting ? one.oldest_ms : 0));
  setText(made.fresh, ago(one.last_ms, now));
  setAttr(made.fresh, 'title', moment(one.last_ms));
  setText(made.left, left(one, judged));
  setAttr(made.line, 'd', spark(curveOf(row.id)?.exports[one.name], SPARK.width, SPARK.height));
}

export function left(one, judged) {
  if (!one.waiting || one.state === 'collecting') return '';
  if (one.drain_s) return `drained in ${span(one.drain_s)}`;
  return judged.level > 0 || one.waiting > 1000 ? 'not draining' : '';
}
