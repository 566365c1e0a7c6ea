// Curves. Small ones for the table, large ones with scales for the history of one stream.
import { el, svg } from './dom.js';
import { clock } from './format.js';

// `points`: numbers, null where nothing is known; or one number for a straight line.
export function spark(points, width, height) {
  const list = Array.isArray(points) ? points : [points || 0, points || 0];
  const top = Math.max(...list.map((p) => p || 0));
  const step = width / Math.max(1, list.length - 1);
  const y = (p) => (top > 0 ? height - 1.5 - (p / top) * (height - 3) : height - 1.5);
  let path = '', down = false;
  list.forEach((p, i) => {
    if (p == null) { down = false; return; }
    path += `${down ? 'L' : 'M'}${(i * step).toFixed(1)} ${y(p).toFixed(1)}`;
    down = true;
  });
  return path;
}

const PLOT = { width: 640, height: 150, left: 84, right: 10, top: 12, bottom: 26 };

// A top for the scale whose half is a round number too.
function niceTop(top, base) {
  if (top <= 0) return 1;
  const large = base === 10 ? 1 : base ** Math.floor(Math.log(top) / Math.log(base));
  const unit = large * 10 ** Math.floor(Math.log10(top / large));
  return [1, 2, 4, 6, 8, 10].map((f) => f * unit).find((v) => v >= top) ?? top;
}

// A chart of one or two series that share a scale: [{name, points, kind}], newest point at `endMs`.
export function chart(title, series, { stepMs, length, known, endMs, unit, base = 10 }) {
  const { width, height, left, right, top, bottom } = PLOT;
  const lists = series.map((s) => (Array.isArray(s.points) ? s.points.slice(-length) : Array(Math.min(known, length)).fill(s.points)));
  const most = niceTop(Math.max(0, ...lists.flat().map((p) => p || 0)), base);
  const x = (i, list) => left + ((length - list.length + i) / (length - 1)) * (width - left - right);
  const y = (p) => top + (1 - p / most) * (height - top - bottom);
  const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, class: 'chart', role: 'img', 'aria-label': title });
  for (const part of [0, 0.5, 1]) {
    picture.append(
      svg('line', { x1: left, x2: width - right, y1: y(part * most), y2: y(part * most), class: 'grid' }),
      svg('text', { x: left - 6, y: y(part * most) + 4, class: 'scale end' }, unit(part * most)));
  }
  for (const part of [0, 0.5, 1]) {
    const at = endMs - (1 - part) * (length - 1) * stepMs;
    picture.append(svg('text', { x: left + part * (width - left - right), y: height - 5,
      class: `scale ${part === 0 ? '' : part === 1 ? 'end' : 'middle'}` }, part === 1 ? 'now' : clock(at).slice(0, 5)));
  }
  lists.forEach((list, s) => {
    let line = '', down = false, first = null, last = null;
    list.forEach((p, i) => {
      if (p == null) { down = false; return; }
      line += `${down ? 'L' : 'M'}${x(i, list).toFixed(1)} ${y(p).toFixed(1)}`;
      first ??= x(i, list); last = x(i, list); down = true;
    });
    if (!line) return;
    if (s === 0 && !line.slice(1).includes('M')) {
      picture.append(svg('path', { d: `${line}L${last.toFixed(1)} ${y(0)}L${first.toFixed(1)} ${y(0)}Z`, class: `area ${series[s].kind}` }));
    }
    picture.append(svg('path', { d: line, class: `line ${series[s].kind}` }));
  });
  const mark = svg('line', { x1: 0, x2: 0, y1: top, y2: height - bottom, class: 'mark' });
  const said = el('output', { class: 'said' });
  const legend = () => series.map((s, i) => [`${s.name} `, s.kind, lists[i].at(-1), null]);
  const say = (entries) => said.replaceChildren(...entries.map(([name, kind, value, at]) =>
    el('span', { class: `key ${kind}` }, `${name}${value == null ? '–' : unit(value)}${at ? ` at ${clock(at)}` : ''}`)));
  say(legend());
  picture.append(mark);
  picture.addEventListener('pointermove', (event) => {
    const box = picture.getBoundingClientRect();
    const part = ((event.clientX - box.left) / box.width * width - left) / (width - left - right);
    const back = Math.round((1 - Math.min(1, Math.max(0, part))) * (length - 1));
    const place = left + (1 - back / (length - 1)) * (width - left - right);
    mark.setAttribute('x1', place); mark.setAttribute('x2', place); mark.classList.add('on');
    say(series.map((s, i) => [`${s.name} `, s.kind, lists[i].at(-1 - back), endMs - back * stepMs]));
  });
  picture.addEventListener('pointerleave', () => { mark.classList.remove('on'); say(legend()); });
  return el('figure', {}, el('figcaption', {}, el('strong', {}, title), said), picture);
}
