// The page: hears what changes, keeps it, and shows it.
import { $, el, setText, setAttr } from './dom.js';
import { ago, bytes, clock, count, moment, rate, short, span, visible } from './format.js';
import { judgeStream, verdict } from './judge.js';
import { Table } from './table.js';
import { Detail } from './detail.js';
import { Keys } from './keys.js';

const SILENCE_MS = 25_000;
const CURVE_MS = 10_000;
const CURVES_MAX = 60;
const WARNINGS_MAX = 80;

const model = { weir: {}, streams: new Map(), warnings: [], ready: false, offset: 0 };
const now = () => Date.now() + model.offset;

const keys = new Keys(() => model.weir);
const curves = new Map();  // stream id -> {in, exports: {name: points}, asked}
const table = new Table({ open: (id, name) => detail.open(id, name), curves: fetchCurves, curveOf: (id) => curves.get(id), now });
const detail = new Detail({ rowOf: (id) => model.streams.get(id), now, keys, weir: () => model.weir });

// ---- what weir says

let heardAt = performance.now();
let source = null;

function connect() {
  source?.close();
  source = new EventSource('/events');
  const on = (name, take) => source.addEventListener(name, (event) => {
    heardAt = performance.now();
    take(JSON.parse(event.data));
    link('live', 'Live');
    schedule();
  });
  on('begin', (data) => {
    model.offset = data.now_ms - Date.now();
    model.streams.clear();
    model.ready = data.streams === 0;
    curves.clear();
  });
  on('weir', (data) => { model.weir = data; });
  on('rows', takeRows);
  on('beat', (data) => { model.offset = data.now_ms - Date.now(); });
  on('warnings', (data) => {
    model.warnings = [...data.reverse(), ...model.warnings.filter((old) => !data.some((n) => n.number === old.number))].slice(0, WARNINGS_MAX);
    showWarnings();
  });
  source.onerror = () => {
    link('lost', 'No connection, trying again');
    // A refused stream is not tried again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
}

function takeRows(data) {
  model.offset = data.now_ms - Date.now();
  for (const row of data.rows) model.streams.set(row.id, { id: row.id, data: row, judged: null });
  for (const id of data.gone || []) { model.streams.delete(id); curves.delete(id); }
  if (data.complete) model.ready = true;
}

function link(state, text) {
  setAttr($('link'), 'data-state', state);
  setText($('link').lastElementChild, text);
}

// ---- what people see

let scheduled = false;
function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => { scheduled = false; show(); });
}

function show() {
  const rows = [...model.streams.values()];
  const at = now();
  for (const row of rows) row.judged = judgeStream(row.data, at);
  if (!model.ready) return;
  const said = verdict(rows, model.weir, at);
  setAttr(document.querySelector('.verdict'), 'data-level', said.level);
  setText($('verdict'), said.text);
  setText($('verdict-why'), visible(said.why));
  document.title = said.level === 'bad' ? `! ${said.text} - weir` : `weir ${visible(model.weir.host || '')}`;
  showTiles(rows, at);
  showNotices();
  showRows(rows);
  showAround(at);
  detail.refresh();
}

function showRows(rows) {
  const words = $('filter').value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = rows.filter((row) => {
    if ($('show').value === 'trouble' && row.judged.level === 0) return false;
    if ($('show').value === 'waiting' && !row.data.exports.some((e) => e.waiting > 0)) return false;
    if (!words.length) return true;
    const text = [row.data.name, row.data.fault, ...row.data.exports.flatMap((e) => [e.name, e.type, e.target, e.state, e.reason])].join(' ').toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const waiting = (row) => Math.max(0, ...row.data.exports.map((e) => e.waiting));
  const by = {
    trouble: (a, b) => b.judged.weight - a.judged.weight || (b.judged.weight ? waiting(b) - waiting(a) : 0),
    waiting: (a, b) => waiting(b) - waiting(a),
    rate: (a, b) => b.data.in - a.data.in,
    full: (a, b) => b.data.bytes / b.data.bytes_max - a.data.bytes / a.data.bytes_max,
    name: () => 0,
  }[$('sort').value];
  shown.sort((a, b) => by(a, b) || (a.data.name < b.data.name ? -1 : 1));
  setText($('count'), shown.length === rows.length ? count(rows.length) : `${count(shown.length)} of ${count(rows.length)}`);
  $('nothing').hidden = shown.length > 0;
  setText($('nothing'), rows.length ? 'No stream matches.' : 'No streams yet.');
  table.show(shown);
}

function tile(name, value, note, level) {
  return el('div', { 'data-level': level || 'none' }, el('dt', {}, name), el('dd', {}, value), el('dd', { class: 'note' }, note || ''));
}

function showTiles(rows, at) {
  const sum = (of) => rows.reduce((total, row) => total + of(row.data), 0);
  const ins = sum((s) => s.in), insBytes = sum((s) => s.in_bytes);
  const outs = sum((s) => s.exports.reduce((t, e) => t + e.out, 0));
  const outsBytes = sum((s) => s.exports.reduce((t, e) => t + e.out_bytes, 0));
  const waiting = sum((s) => s.exports.reduce((t, e) => t + e.waiting, 0));
  const waitingBytes = sum((s) => s.exports.reduce((t, e) => t + (e.waiting_bytes || 0), 0));
  const { weir } = model;
  const diskPart = weir.disk_total ? weir.disk_free / weir.disk_total : 1;
  const diskLevel = diskPart < 0.02 || (weir.disk_full_s && weir.disk_full_s < 6 * 3600) ? 'bad' : diskPart < 0.1 ? 'warn' : 'none';
  const tiles = [
    tile('Coming in', rate(ins), `${bytes(insBytes)}/s`),
    tile('Going out', rate(outs), `${bytes(outsBytes)}/s`),
    tile('Waiting', short(waiting), bytes(waitingBytes)),
    tile('Disk free', bytes(weir.disk_free || 0), weir.disk_full_s ? `full in ${span(weir.disk_full_s)} at this rate` : `of ${bytes(weir.disk_total || 0)}`, diskLevel),
    credentialsTile(weir.credentials || [], at),
    tile('Memory', bytes(weir.memory || 0), `up ${ago(weir.started_ms, at)}`),
  ];
  const box = $('tiles');
  tiles.filter(Boolean).forEach((made, i) => {
    const old = box.children[i];
    if (!old) box.append(made);
    else if (!old.isEqualNode(made)) old.replaceWith(made);
  });
  while (box.children.length > tiles.filter(Boolean).length) box.lastChild.remove();
}

function credentialsTile(all, at) {
  if (!all.length) return null;
  const failed = all.find((c) => c.error);
  if (failed) return tile('Credentials', failed.have ? 'Not renewed' : 'None', visible(failed.error).slice(0, 60), failed.have ? 'warn' : 'bad');
  const soonest = all.filter((c) => c.expires_ms).sort((a, b) => a.expires_ms - b.expires_ms)[0];
  return tile('Credentials', soonest ? `${span((soonest.expires_ms - at) / 1000)} left` : 'In order', visible((soonest || all[0]).source || ''));
}

function showNotices() {
  const { weir } = model;
  const all = [];
  for (const one of weir.unavailable || []) all.push(['bad', `Stream ${visible(one.name || 'without a readable name')} could not be opened`, visible(one.reason)]);
  for (const one of weir.connectors || []) {
    if (one.state !== 'connected') all.push([one.state === 'broken' ? 'bad' : 'warn', `Connector ${visible(one.name)} is ${visible(one.state)}`, visible(one.reason || '')]);
  }
  for (const one of weir.credentials || []) if (one.error) all.push(['warn', `Credentials${one.role ? ` of ${visible(one.role)}` : ''} were not renewed`, visible(one.error)]);
  if (weir.starting) all.push(['warn', 'weir is starting', 'It takes no messages yet.']);
  const box = $('notices');
  box.hidden = all.length === 0;
  box.replaceChildren(...all.map(([level, what, why]) => el('p', { 'data-level': level }, el('i', { class: 'dot' }), el('b', {}, what), ' ', el('span', {}, why))));
}

function showWarnings() {
  const list = $('warnings');
  if (!model.warnings.length) return;
  list.replaceChildren(...model.warnings.map((w) => el('li', { 'data-level': w.error ? 'bad' : 'warn' },
    el('time', { datetime: new Date(w.ms).toISOString(), title: moment(w.ms) }, clock(w.ms)),
    el('b', {}, w.error ? 'error' : 'warn'), el('span', {}, visible(w.text)))));
}

function fact(name, ...value) { return el('div', {}, el('dt', {}, name), el('dd', {}, ...value)); }

let aroundShown = '';
function showAround(at) {
  const { weir } = model;
  const key = JSON.stringify(weir) + Math.floor(at / 30_000);
  if (key === aroundShown) return;
  aroundShown = key;
  const facts = [];
  for (const one of weir.credentials || []) {
    facts.push(fact(one.role ? `Role ${visible(one.role)}` : 'Credentials', visible(one.source || 'none found'),
      one.expires_ms ? `, until ${moment(one.expires_ms)} (${span((one.expires_ms - at) / 1000)})` : one.have ? ', do not expire' : ''));
  }
  if (!(weir.credentials || []).length) facts.push(fact('Credentials', 'not needed so far'));
  for (const one of weir.connectors || []) {
    facts.push(fact(`Connector ${visible(one.name)}`, `${visible(one.state)}, ${visible(one.broker)}`, one.unacknowledged ? `, ${count(one.unacknowledged)} not acknowledged` : ''));
  }
  facts.push(fact('Programs connected', count(weir.connections || 0), ` on port ${weir.port}`));
  facts.push(fact('Store', visible(weir.store || '')));
  facts.push(fact('Running since', moment(weir.started_ms)));
  $('around').replaceChildren(el('dl', {}, ...facts));
  setText($('host'), visible(weir.host || ''));
  $('foot').replaceChildren(`weir ${visible(weir.version || '')} · `, ...['status', 'metrics'].flatMap((p, i) => [i ? ' · ' : '', el('a', { href: `/${p}` }, `/${p}`)]));
  keys.refresh();
}

// ---- small curves: fetched for what can be seen, once every ten seconds

let fetching = false;
async function fetchCurves(ids) {
  const stale = performance.now() - CURVE_MS;
  const wanted = ids.filter((id) => !((curves.get(id)?.asked ?? -Infinity) > stale)).slice(0, CURVES_MAX);
  if (fetching || !wanted.length || document.hidden) return;
  // What is still does not need a new curve: its line stays.
  const moving = wanted.filter((id) => !curves.has(id) || isMoving(model.streams.get(id)?.data));
  if (!moving.length) return;
  fetching = true;
  try {
    const answer = await fetch(`/history?points=short&streams=${moving.join(',')}`, { cache: 'no-store' });
    for (const one of (await answer.json()).streams) {
      curves.set(one.id, { in: one.in, exports: Object.fromEntries(one.exports.map((e) => [e.name, e.waiting])), asked: performance.now() });
    }
    schedule();
  } catch { /* the state of the connection is shown already */ } finally { fetching = false; }
}

const isMoving = (data) => data && (data.in > 0 || data.exports.some((e) => e.out > 0 || e.waiting > 0));

// ---- the rest

for (const id of ['filter', 'show', 'sort']) $(id).addEventListener('input', () => { $('scroller').scrollTop = 0; schedule(); });
addEventListener('keydown', (event) => {
  if (event.key === '/' && !event.target.closest('input, textarea, select, dialog')) { event.preventDefault(); $('filter').focus(); }
});
setInterval(() => {
  if (performance.now() - heardAt > SILENCE_MS) {
    link('lost', `No answer for ${span((performance.now() - heardAt) / 1000)}`);
    if (source.readyState === EventSource.OPEN) connect();
  }
  if (!document.hidden) schedule();  // ages go on
}, 1000);
connect();
