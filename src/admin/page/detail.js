// Everything about one stream: facts, exports with what may be done, history, messages.
import { $, el, setText } from './dom.js';
import { ago, bytes, count, moment, rate, short, span, visible } from './format.js';
import { chart } from './chart.js';
import { left } from './table.js';
import { question } from './keys.js';
import { Tail, Tap } from './tail.js';

const HISTORY_MS = 10_000;
const LEVELS = ['good', 'warn', 'bad'];
const RANGES = { short: 'Ten minutes', long: 'Four hours' };
const POINTS = { short: 60, long: 72 };

export class Detail {
  constructor({ rowOf, now, keys, weir }) {
    Object.assign(this, { rowOf, now, keys, weir, range: 'short' });
    this.dialog = $('detail');
    $('detail-close').addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('click', (event) => { if (event.target === this.dialog) this.dialog.close(); });
    this.dialog.addEventListener('close', () => this.closed());
  }

  open(id, exportName) {
    const row = this.rowOf(id);
    if (!row) return;
    this.closed();
    this.id = id;
    this.lives = [];
    this.tapped = null;
    setText($('detail-title'), visible(row.data.name));
    this.facts = el('dl', { class: 'facts' });
    this.exports = el('div', { class: 'exports' });
    this.cards = new Map();
    this.charts = el('div', { class: 'charts' });
    const tail = new Tail(this.keys, row.data.name);
    this.lives.push(tail);
    const ranges = Object.entries(RANGES).map(([key, text]) => el('button', { type: 'button', class: 'quiet', 'aria-pressed': String(key === this.range), onclick: (event) => {
      this.range = key;
      for (const one of ranges) one.setAttribute('aria-pressed', String(one === event.currentTarget));
      this.drawCharts();
    } }, text));
    this.remove = el('button', { type: 'button', class: 'danger', onclick: () => this.deleteStream() }, 'Delete this stream');
    this.said = el('p', { class: 'note', role: 'status' });
    $('detail-body').replaceChildren(this.facts, this.exports,
      el('div', { class: 'bar' }, el('h3', {}, 'History'), ...ranges), this.charts,
      el('h3', {}, 'Messages'), tail.node,
      el('div', { class: 'buttons' }, this.said, this.remove));
    this.dialog.showModal();
    this.dialog.scrollTop = 0;
    $('detail-title').focus();
    this.refresh();
    this.fetchHistory();
    this.timer = setInterval(() => this.fetchHistory(), HISTORY_MS);
    if (exportName) this.cards.get(exportName)?.node.scrollIntoView({ block: 'nearest' });
  }

  closed() {
    clearInterval(this.timer);
    for (const live of this.lives || []) live.stop();
    this.id = undefined;
    this.history = null;
  }

  refresh() {
    if (this.id === undefined) return;
    const row = this.rowOf(this.id);
    if (!row) { setText(this.said, 'This stream is gone.'); this.remove.hidden = true; return; }
    const { data } = row;
    const at = this.now();
    const empty = data.next <= data.oldest;
    const facts = [
      ['Coming in', `${rate(data.in)}, ${bytes(data.in_bytes)}/s`],
      ['Stored', `${bytes(data.bytes)} of ${bytes(data.bytes_max)}, ${data.memory ? 'in memory' : 'on disk'}`],
      ['Messages', empty ? 'none' : `${count(data.next - data.oldest)}, #${data.oldest} to #${data.next - 1}`],
      ['Oldest', empty || !data.oldest_ms ? '–' : `${ago(data.oldest_ms, at)} ago, ${moment(data.oldest_ms)}`],
      ['Newest', data.newest_ms ? `${ago(data.newest_ms, at)} ago, ${moment(data.newest_ms)}` : '–'],
      ['When full', data.overwrites ? 'the oldest are overwritten' : 'appends are refused'],
      ['Full in', data.full_s ? span(data.full_s) : 'not at the present rate'],
      data.ttl_ms && ['Kept for', span(data.ttl_ms / 1000)],
      data.lost && ['Lost to damage', `${count(data.lost)} messages`],
      data.fault && ['Fault', visible(data.fault)],
    ].filter(Boolean);
    const made = facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)));
    if (made.length !== this.facts.children.length || made.some((m, i) => !m.isEqualNode(this.facts.children[i]))) this.facts.replaceChildren(...made);
    this.remove.hidden = !this.weir().actions;
    this.refreshExports(row, at);
  }

  refreshExports(row, at) {
    const names = new Set(row.data.exports.map((one) => one.name));
    for (const [name, card] of this.cards) if (!names.has(name)) { card.node.remove(); this.cards.delete(name); }
    row.data.exports.forEach((one, i) => {
      if (!this.cards.has(one.name)) {
        const card = this.makeCard(row.data.name, one);
        this.cards.set(one.name, card);
        this.exports.append(card.node);
      }
      this.fillCard(this.cards.get(one.name), one, row.judged.exports[i], at);
    });
  }

  makeCard(stream, one) {
    const card = { word: el('b', {}), why: el('span', {}), facts: el('dl', { class: 'facts' }), tools: el('div', { class: 'buttons' }), said: el('p', { class: 'note', role: 'status' }) };
    const act = (body, words) => this.act(card, { stream, export: one.name, ...body }, words);
    card.pause = el('button', { type: 'button', onclick: () => act({ order: card.paused ? 'resume' : 'pause' }, { title: 'Pause this export?', yes: 'Pause' }) });
    card.retry = el('button', { type: 'button', onclick: () => act({ order: 'retry-now' }, {}) }, 'Retry now');
    card.move = el('button', { type: 'button', onclick: () => this.rewind(card, stream, one.name) }, 'Rewind…');
    const tap = el('button', { type: 'button', class: 'quiet', onclick: () => {
      tap.remove();
      const live = new Tap(this.keys, stream, one.name);
      this.lives.push(live);
      card.node.append(live.node);
      live.start();
    } }, 'Watch what it sends');
    card.tools.append(card.pause, card.retry, card.move, tap);
    card.node = el('section', { class: 'card', 'aria-label': `Export ${visible(one.name)}` },
      el('h3', {}, el('span', { 'aria-hidden': 'true' }, '→ '), visible(one.name), ' ', el('small', {}, visible(`${one.type} ${one.target || ''}`))),
      el('p', { class: 'state' }, el('i', { class: 'dot', 'aria-hidden': 'true' }), card.word, ' ', card.why), card.facts, card.tools, card.said);
    return card;
  }

  fillCard(card, one, judged, at) {
    card.one = one;
    card.paused = Boolean(one.paused);
    card.node.dataset.level = LEVELS[judged.level];
    setText(card.word, visible(judged.word));
    setText(card.why, visible(judged.why || ''));
    const facts = [
      ['Waiting', one.waiting ? `${count(one.waiting)} messages, ${bytes(one.waiting_bytes || 0)}` : 'nothing'],
      one.waiting && one.oldest_ms && ['Oldest waits', `${ago(one.oldest_ms, at)}, since ${moment(one.oldest_ms)}`],
      ['Going out', `${rate(one.out)}, ${bytes(one.out_bytes)}/s`],
      one.waiting && ['Drained in', one.drain_s ? span(one.drain_s) : left(one, judged) || '–'],
      ['Last sent', one.last < 0 ? 'nothing yet' : one.last_ms ? `#${one.last}, ${ago(one.last_ms, at)} ago` : `#${one.last}`],
      ['Sent in all', `${count(one.sent)} messages`],
      one.failures && ['Failed', `${count(one.failures)} times in a row (${visible(one.failure || '')})`],
      one.next_try_ms > at + 1000 && ['Next try', `in ${span((one.next_try_ms - at) / 1000)}`],
      one.error && !(judged.why || '').startsWith(one.error) && ['Last error', visible(one.error)],
      one.redirected_to && ['Redirected to', visible(one.redirected_to)],
      one.lost && ['Overwritten unsent', `${count(one.lost)} messages`],
      one.skipped && ['Refused and dropped', `${count(one.skipped)} messages`],
      one.dead_letters && ['Dead letters', `${count(one.dead_letters)} messages`],
    ].filter(Boolean);
    const made = facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)));
    if (made.length !== card.facts.children.length || made.some((m, i) => !m.isEqualNode(card.facts.children[i]))) card.facts.replaceChildren(...made);
    const may = Boolean(this.weir().actions);
    for (const button of [card.pause, card.retry, card.move]) button.hidden = !may;
    setText(card.pause, card.paused ? 'Resume' : 'Pause');
    card.retry.hidden = !may || one.state !== 'backoff';
  }

  async act(card, body, words) {
    setText(card.said, 'Ordered…');
    try { setText(card.said, visible(await this.keys.order('/exports', body, words))); } catch (error) { setText(card.said, `Not done: ${visible(error.message)}`); }
  }

  async rewind(card, stream, name) {
    const said = await question({ title: `Where shall ${visible(name)} go on?`, type: 'number', label: 'Number of the first message to send', yes: 'Go on there', value: String(card.one.last + 1),
      text: `It has sent up to #${card.one.last}. A lower number sends messages again; a higher one leaves some out.` });
    if (said === null) return;
    if (!/^\d+$/.test(said)) { setText(card.said, 'That is not a number.'); return; }
    this.act(card, { stream, export: name, order: 'move', to: Number(said) }, { title: 'Are you sure?', yes: 'Do it' });
  }

  async deleteStream() {
    const row = this.rowOf(this.id);
    if (!row) return;
    const { name } = row.data;
    try {
      const done = await this.keys.order('/streams', { stream: name, order: 'delete' }, { title: 'Delete this stream?', yes: 'Delete', confirmWord: name });
      if (done) this.dialog.close();
    } catch (error) { setText(this.said, `Not done: ${visible(error.message)}`); }
  }

  async fetchHistory() {
    const { id } = this;
    if (document.hidden) return;
    try {
      const answer = await (await fetch(`/history?streams=${id}`, { cache: 'no-store' })).json();
      if (this.id !== id || !answer.streams.length) return;
      this.history = { ...answer, stream: answer.streams[0] };
      this.drawCharts();
    } catch { /* tried again soon */ }
  }

  drawCharts() {
    if (!this.history) return;
    const { stream, now_ms: endMs, step_ms, long_step_ms } = this.history;
    const key = this.range === 'long' ? '_long' : '';
    const stepMs = this.range === 'long' ? long_step_ms : step_ms;
    const known = Math.ceil((endMs - this.weir().started_ms) / stepMs) + 1;
    const scale = { stepMs, length: POINTS[this.range], known, endMs };
    const perSecond = (n) => rate(n);
    const rates = [{ name: 'in', kind: 'one', points: stream[`in${key}`] }];
    const first = stream.exports[0];
    if (stream.exports.length === 1) rates.push({ name: `out to ${visible(first.name)}`, kind: 'two', points: first[`out${key}`] });
    const made = [chart('Messages', rates, { ...scale, unit: perSecond })];
    for (const one of stream.exports) {
      if (stream.exports.length > 1) made.push(chart(`Sent by ${visible(one.name)}`, [{ name: 'out', kind: 'two', points: one[`out${key}`] }], { ...scale, unit: perSecond }));
      made.push(chart(`Waiting for ${visible(one.name)}`, [{ name: 'waiting', kind: 'three', points: one[`waiting${key}`] }], { ...scale, unit: short }));
    }
    made.push(chart('Stored', [{ name: 'stored', kind: 'one', points: stream[`bytes${key}`] }], { ...scale, unit: bytes, base: 1024 }));
    this.charts.replaceChildren(...made);
  }
}
