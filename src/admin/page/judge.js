// What the figures mean: how bad, in one word, and in a sentence.
import { ago, bytes, count, span } from './format.js';

const BAD = 2, WARN = 1, GOOD = 0;

const WORDS = {
  idle: 'up to date', collecting: 'collecting', ready: 'ready', in_flight: 'sending',
  backoff: 'backing off', stopped: 'paused', broken: 'broken', service_retired: 'service ended',
};

// {level, weight, word, why}: the heavier, the further up.
export function judgeExport(one, now) {
  const word = one.state === 'stopped' && !one.paused ? 'disabled' : WORDS[one.state] || one.state;
  const why = one.reason || '';
  if (one.state === 'broken' || one.state === 'service_retired') return { level: BAD, weight: 100, word, why };
  if (one.state === 'backoff') {
    const hopeless = ['operator', 'credentials', 'bug', 'clock'].includes(one.failure);
    const stuck = hopeless || (one.failures || 0) >= 3;
    const wait = one.next_try_ms > now + 1000 ? `; next try in ${span((one.next_try_ms - now) / 1000)}` : '';
    return { level: stuck ? BAD : WARN, weight: stuck ? 90 : 60, word: stuck ? 'stuck' : word,
             why: (one.error || why.replace(/^backing off: /, '')) + wait };
  }
  if (one.state === 'stopped' && one.waiting > 0) {
    return { level: WARN, weight: one.paused ? 50 : 20, word, why };
  }
  const lag = one.waiting > 0 && one.oldest_ms ? (now - one.oldest_ms) / 1000 : 0;
  if (lag > 300 && !one.drain_s && one.state !== 'collecting') {
    return { level: WARN, weight: 40, word: 'behind', why: why || 'more comes than leaves' };
  }
  if (one.lost) return { level: WARN, weight: 30, word, why: why || `${count(one.lost)} were overwritten before they were sent` };
  return { level: GOOD, weight: 0, word, why };
}

export function judgeStream(stream, now) {
  const part = stream.bytes_max ? stream.bytes / stream.bytes_max : 0;
  let own = { level: GOOD, weight: 0, word: '', why: '' };
  if (stream.fault) own = { level: BAD, weight: 95, word: 'faulty', why: stream.fault };
  else if (part >= 0.98 && !stream.overwrites) {
    own = { level: BAD, weight: 85, word: 'full', why: 'appends are refused until something leaves' };
  } else if (part >= 0.9 && !stream.overwrites) {
    own = { level: WARN, weight: 55, word: 'nearly full', why: '' };
  } else if (stream.full_s && stream.full_s < 6 * 3600 && !stream.overwrites) {
    own = { level: WARN, weight: 45, word: 'filling', why: '' };
  } else if (stream.lost) {
    own = { level: WARN, weight: 35, word: 'damaged', why: `${count(stream.lost)} messages were lost to damage` };
  }
  const exports = stream.exports.map((one) => judgeExport(one, now));
  const level = Math.max(own.level, ...exports.map((e) => e.level));
  const weight = Math.max(own.weight, ...exports.map((e) => e.weight));
  return { own, exports, level, weight };
}

// The one sentence at the top.
export function verdict(rows, weir, now) {
  if (weir.stuck) {
    return { level: 'bad', text: 'weir does not answer', why: 'Its main thread has done nothing for 10 seconds; a disk that hangs is the usual cause. weir doctor tells more.' };
  }
  const bad = [], warn = [];
  for (const row of rows) {
    if (row.judged.own.level === BAD) bad.push({ row });
    else if (row.judged.own.level === WARN) warn.push({ row });
    row.judged.exports.forEach((judged, i) => {
      if (judged.level === BAD) bad.push({ row, judged, one: row.data.exports[i] });
      else if (judged.level === WARN) warn.push({ row, judged, one: row.data.exports[i] });
    });
  }
  const heaviest = (list) => list.reduce((a, b) => (weightOf(b) > weightOf(a) ? b : a));
  if (weir.unavailable?.length && bad.length === 0) {
    const n = weir.unavailable.length;
    return { level: 'bad', text: `${n} stream${n > 1 ? 's' : ''} could not be opened`, why: weir.unavailable[0].reason };
  }
  if (bad.length) return { level: 'bad', text: headline(bad, 'stuck'), why: sentence(heaviest(bad), now) };
  if (warn.length) return { level: 'warn', text: headline(warn, 'in need of a look'), why: sentence(heaviest(warn), now) };
  if (rows.length === 0) return { level: 'none', text: 'No streams yet', why: 'They appear here as soon as a program or the configuration creates one.' };
  const busy = rows.some((row) => row.data.in > 0 || row.data.exports.some((e) => e.out > 0));
  return { level: 'good', text: busy ? 'Everything flows' : 'Everything is calm',
           why: busy ? 'Nothing is stuck, nothing is filling up.' : 'Nothing is stuck. No messages are coming in at the moment.' };
}

const weightOf = (item) => (item.judged ? item.judged.weight : item.row.judged.own.weight);

function headline(list, word) {
  const exports = list.filter((item) => item.one).length, streams = list.length - exports;
  const parts = [];
  if (exports) parts.push(`${exports} export${exports > 1 ? 's' : ''}`);
  if (streams) parts.push(`${streams} stream${streams > 1 ? 's' : ''}`);
  const what = exports && !streams ? word : 'in trouble';
  return `${parts.join(' and ')} ${list.length > 1 ? 'are' : 'is'} ${what}`;
}

function sentence({ row, judged, one }, now) {
  if (!one) {
    const own = row.judged.own;
    return `${row.data.name} is ${own.word}${own.why ? ': ' + own.why : ''}, ${bytes(row.data.bytes)} of ${bytes(row.data.bytes_max)}.`;
  }
  const since = one.oldest_ms ? `, the oldest for ${ago(one.oldest_ms, now)}` : '';
  const waits = one.waiting ? ` ${count(one.waiting)} message${one.waiting > 1 ? 's wait' : ' waits'}${since}.` : '';
  return `${row.data.name} → ${one.name}: ${judged.why || judged.word}.${waits}`;
}
