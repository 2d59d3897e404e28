// The page of psiren. It asks the API beside it, draws what it hears, and decides nothing: every
// status and every reason comes from the server. Names are text wherever they come from: nothing
// here makes HTML of a string. What a person has chosen is in the URL, so that a link shows it.

const API = new URL('api/v1/', import.meta.url);
const DAY = 86_400_000;
/** Rows that are made at once; more come when asked for. */
const ROWS = 60;
/** Points of a sparkline, and of a chart, where the eye sees no more. */
const SPARK_POINTS = 56, CHART_POINTS = 2000;
const POLL_MS = 60_000, PACE_MS = 1_500, SILENT_MS = 45_000;

const STATUS = {
  likely_drift: { icon: '▲', word: 'likely drift', rank: 3 },
  possible_drift: { icon: '◆', word: 'possible drift', rank: 2 },
  no_drift: { icon: '●', word: 'no drift', rank: 1 },
  insufficient_data: { icon: '○', word: 'insufficient data', rank: 0 },
  stale: { icon: '■', word: 'stale', rank: 4 },
};
const RANGES = { '24h': '24 h', '7d': '7 d', '30d': '30 d', all: 'All' };
const SPANS = { '24h': DAY, '7d': 7 * DAY, '30d': 30 * DAY };
/** What an incident is about. */
const REASONS = { psi: 'drift', missing: 'missing values', invalid: 'values of a wrong type', stale: 'silence' };
/** How long a silence may last, as the API takes it. */
const SILENCES = { '1h': '1 hour', '4h': '4 hours', '1d': '1 day', '3d': '3 days', '7d': '7 days', '30d': '30 days' };
const SCALES = { linear: 'Linear', log: 'Log' };
const WINDOWS = { closed: 'Last closed', live: 'Live' };

// ---- Small helpers -----------------------------------------------------------------------------

/** @param {string} id */
const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
function make(space, name, attributes = {}, ...children) {
  const node = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
const h = (name, attributes, ...children) => make(null, name, attributes, ...children);
const s = (name, attributes, ...children) => make('http://www.w3.org/2000/svg', name, attributes, ...children);

/** Sets text only where it differs, so that nothing is laid out or read out again for nothing. */
function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function badge(status, words) {
  const { icon, word } = STATUS[status] ?? { icon: '○', word: status };
  return h('span', { class: `badge ${status}` }, h('i', { 'aria-hidden': 'true' }, icon),
    h('span', { class: 'word' }, words ?? word));
}

/** Makes the children of a node anew where what they show has changed; the focus keeps its place. */
function redraw(node, shows, children) {
  const key = JSON.stringify(shows);
  if (drawn.get(node) === key) return;
  drawn.set(node, key);
  const place = [...node.children].indexOf(document.activeElement);
  node.replaceChildren(...children());
  if (place >= 0) node.children[place]?.focus();
}
const drawn = new WeakMap();

/** A row of buttons of which one is pressed. */
function segments(node, choices, pressed, press) {
  redraw(node, pressed, () => Object.entries(choices).map(([value, label]) => {
    const button = h('button', { type: 'button', 'aria-pressed': String(value === pressed), 'data-value': value }, label);
    button.addEventListener('click', () => press(value));
    return button;
  }));
}

function facts(node, pairs) {
  redraw(node, pairs.map(([term, value]) => [term, value.id ?? value]), () =>
    pairs.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value))));
}

/** A name within a sentence: what it does to the direction of text ends with it. */
const named = (name) => `\u2068${name}\u2069`;

const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** What the browser keeps for the page. Browsers may refuse to; then it lasts as long as the page. */
const instead = new Map();

function kept(storage, key) {
  try {
    return globalThis[storage].getItem(key);
  } catch {
    return instead.get(key) ?? null;
  }
}

function keep(storage, key, value) {
  try {
    value === null ? globalThis[storage].removeItem(key) : globalThis[storage].setItem(key, value);
  } catch {
    value === null ? instead.delete(key) : instead.set(key, value);
  }
}

// ---- Numbers and times -------------------------------------------------------------------------

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const count = (n) => (n === null || n === undefined ? '–' : grouped.format(n));
const fixed = (x) => (x === null || x === undefined ? '–' : x.toFixed(3));
/** At most four decimals, as the server writes a PSI. */
const short = (x) => (x === null || x === undefined ? '–' : String(Number(x.toFixed(4))));
const percent = (x) => (x === null || x === undefined ? '–' : `${(100 * x).toFixed(x > 0 && x < 0.0995 ? 1 : 0)} %`);
/** An edge for people; the exact one is in the API. */
const edge = (x) => String(Number(x.toPrecision(6)));

const utc = (options) => new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options });
const dayFormat = utc({ day: 'numeric', month: 'short', year: 'numeric' });
const minuteFormat = utc({ day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' });
const clockFormat = utc({ hour: '2-digit', minute: '2-digit', second: '2-digit' });

/** A date, with the time of day where it is not midnight. */
function when(at) {
  if (at === null || at === undefined) return '–';
  const ms = typeof at === 'number' ? at : Date.parse(at);
  return (ms % DAY === 0 ? dayFormat : minuteFormat).format(ms);
}

function lasting(ms) {
  for (const [unit, size] of [['d', DAY], ['h', 3_600_000], ['min', 60_000], ['s', 1000]]) {
    if (ms >= size) return `${Math.round(10 * ms / size) / 10} ${unit}`;
  }
  return `${ms} ms`;
}

function ago(seconds) {
  const steps = [[90, 1, 's'], [90 * 60, 60, 'min'], [36 * 3600, 3600, 'h'], [Infinity, 86_400, 'd']];
  const [, size, unit] = steps.find(([below]) => seconds < below);
  return `${Math.max(0, Math.floor(seconds / size))} ${unit} ago`;
}

const openSince = (incident) => `${REASONS[incident.reason] ?? incident.reason} since ${when(incident.since)}`;

/** Start and end of a numeric bucket in words, with the feature's name where it is short. */
function rangeWords(feature, bucket) {
  const { range, lower, upper } = bucket;
  if (range === null) return `category ${bucket.bucket} (name not shown)`;
  if (lower === null && upper === null) return range;
  const name = feature.length <= 20 ? feature : 'value';
  const closedRight = range.startsWith('≤') || range.startsWith('(') || range.startsWith('>');
  const [below, above] = closedRight ? ['<', '≤'] : ['≤', '<'];
  if (lower === null) return `${name} ${above} ${edge(upper)}`;
  if (upper === null) return `${name} ${below === '<' ? '>' : '≥'} ${edge(lower)}`;
  return `${edge(lower)} ${below} ${name} ${above} ${edge(upper)}`;
}

// ---- What is chosen: the URL -------------------------------------------------------------------

const DEFAULTS = { monitor: '', feature: '', range: 'all', q: '', status: '', scale: '', of: 'closed' };

function readUrl() {
  const query = new URLSearchParams(location.search);
  const read = Object.fromEntries(Object.entries(DEFAULTS).map(([key, value]) => [key, query.get(key) ?? value]));
  if (!Object.hasOwn(RANGES, read.range)) read.range = DEFAULTS.range;
  return read;
}

function hrefOf(changes) {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries({ ...chosen, ...changes })) {
    if (value !== DEFAULTS[key]) query.set(key, value);
  }
  return query.size ? `?${query}` : location.pathname;
}

/** Changes what is chosen; typing replaces the entry of the browser's history. */
function choose(changes, { replace = false } = {}) {
  const href = hrefOf(changes);
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  chosen = readUrl();
  if ('monitor' in changes || 'status' in changes) rows.limit = ROWS;
  follow();
}

/** Draws what is chosen now, at once from what is known and again when the rest has come. */
function follow() {
  draw();
  refresh();
}

let chosen = readUrl();

// ---- What is known -----------------------------------------------------------------------------

/** What the server has said. */
const known = { status: null, receivedAt: 0, series: null, detail: null, chart: null };
/** When anything was last heard, and how the page hears of news. */
const link = { heardAt: Date.now(), failing: null, streaming: false, silent: false };
/** What is shown when nothing is chosen: the worst at first sight, kept while figures move. */
const fallback = { monitor: null, of: null, feature: null };

function monitorNow() {
  const monitors = known.status?.monitors ?? [];
  const find = (name) => monitors.find((m) => m.monitor === name) ?? null;
  if (chosen.monitor) return find(chosen.monitor);
  if (!find(fallback.monitor)) {
    const rank = (m) => STATUS[m.status]?.rank ?? 0;
    fallback.monitor = monitors.reduce((worst, m) => (worst && rank(worst) >= rank(m) ? worst : m), null)?.monitor ?? null;
  }
  return find(fallback.monitor);
}

const isWide = matchMedia('(min-width: 68.01rem)');

function featureNow() {
  const monitor = monitorNow();
  if (!monitor || chosen.feature) return chosen.feature || null;
  if (!isWide.matches) return null;
  if (fallback.of !== monitor.monitor) {
    fallback.of = monitor.monitor;
    fallback.feature = bySeverity(monitor.features)[0]?.feature ?? null;
  }
  return fallback.feature;
}

/** Open incidents first, then by status, then by PSI, as the table without JavaScript. */
function bySeverity(features) {
  const worse = (f) => [f.incidents.length > 0 ? 1 : 0, STATUS[f.status]?.rank ?? 0, f.psi ?? -1];
  const keyed = features.map((feature) => [worse(feature), feature]);
  keyed.sort(([a], [b]) => b[0] - a[0] || b[1] - a[1] || b[2] - a[2]);
  return keyed.map(([, feature]) => feature);
}

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, { query = {}, ...options } = {}) {
  const url = new URL(path, API);
  for (const [key, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(key, value);
  const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(15_000), ...options });
  heard();
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error ?? `psiren answered with ${response.status}`);
  return body;
}

function heard() {
  link.heardAt = Date.now();
  link.failing = null;
  link.silent = false;
}

let running = false, next = null, timer = 0, startedAt = 0;

/** Asks for everything that is shown; never twice at once. */
async function refresh() {
  if (running) { next = refresh; return; }
  running = true;
  next = null;
  clearTimeout(timer);
  timer = 0;
  startedAt = performance.now();
  try {
    const status = await ask('status');
    const isFirst = known.status === null;
    Object.assign(known, { status, receivedAt: performance.now() });
    if (isFirst) draw();
    await Promise.all([loadSeries(), loadFeature()]);
  } catch (error) {
    if (!(error instanceof Refused)) link.failing ??= { since: Date.now() };
    else link.failing = { since: Date.now(), why: error.message };
  } finally {
    running = false;
  }
  draw();
  if (known.status && !document.documentElement.dataset.ready) {
    document.documentElement.dataset.ready = 'true';
    performance.mark('psiren-ready');
  }
  next?.();
}

/** A refresh soon, but not before the last one has had its time: news may come faster. */
function soon() {
  if (running) { next ??= soon; return; }
  const took = performance.now() - startedAt;
  timer ||= setTimeout(refresh, Math.max(0, PACE_MS - took));
}

const endOf = (monitor) => (monitor?.window ? Date.parse(monitor.window.end) : null);

/** What a series depends on: asked again only when this has changed. */
function seriesKey(monitor, feature) {
  const incidents = monitor.incidents.filter((i) => i.feature === feature).map((i) => i.reason);
  return JSON.stringify([monitor.monitor, feature, chosen.range, endOf(monitor), incidents]);
}

async function askSeries(monitor, feature, points) {
  const span = SPANS[chosen.range], end = endOf(monitor);
  const from = end !== null && span ? end - span : undefined;
  return ask('series', { query: { monitor: monitor.monitor, feature, from, points } });
}

async function loadSeries() {
  const monitor = monitorNow();
  if (!monitor) return;
  const key = seriesKey(monitor);
  if (known.series?.key === key) return;
  const series = await askSeries(monitor, undefined, SPARK_POINTS);
  known.series = { ...series, key };
}

async function loadFeature() {
  const monitor = monitorNow(), feature = featureNow();
  if (!monitor || feature === null || !monitor.features.some((f) => f.feature === feature)) return;
  const key = seriesKey(monitor, feature);
  const path = `monitors/${encodeURIComponent(monitor.monitor)}/features/${encodeURIComponent(feature)}`;
  const [detail, chart] = await Promise.all([
    ask(path),
    known.chart?.key === key ? known.chart : askSeries(monitor, feature, CHART_POINTS),
  ]);
  known.detail = detail;
  known.chart = { ...chart, feature, key };
}

// ---- News --------------------------------------------------------------------------------------

let stream = null;

/** Reads the event stream itself: unlike `EventSource` it hears the keep-alive and sees refusals. */
async function listen() {
  stream?.abort();
  const own = stream = new AbortController();
  for (let wait = 1000; !own.signal.aborted; wait = Math.min(2 * wait, 30_000)) {
    try {
      const response = await fetch(new URL('events', API), { signal: own.signal, cache: 'no-store' });
      heard();
      if (response.ok) {
        link.streaming = true;
        wait = 1000;
        await hear(response.body.pipeThrough(new TextDecoderStream()).getReader());
      } else {
        wait = POLL_MS;
      }
    } catch {
      if (!own.signal.aborted) link.failing ??= { since: Date.now() };
    }
    if (own !== stream) return;
    link.streaming = false;
    tick();
    await new Promise((resume) => setTimeout(resume, wait));
  }
}

async function hear(reader) {
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    heard();
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    if (blocks.some((block) => /^event:/m.test(block))) soon();
  }
}

// ---- Drawing -----------------------------------------------------------------------------------

function draw() {
  const { status } = known;
  if (!status) { tick(); return; }
  const start = performance.now();
  const monitor = monitorNow();
  drawMonitors(status, monitor);
  $('summary').hidden = $('list').hidden = !monitor;
  if (monitor) {
    drawSummary(monitor);
    drawList(monitor);
    drawDetail(monitor);
  } else {
    $('detail').hidden = true;
  }
  document.title = monitor ? `${STATUS[monitor.status]?.icon ?? ''} ${monitor.status_text} · ${monitor.monitor} · psiren` : 'psiren';
  tick();
  // What the server wrote for browsers without JavaScript has done its work.
  $('plain')?.remove();
  $('app').hidden = $('tools').hidden = false;
  document.documentElement.dataset.pane = chosen.feature ? 'detail' : 'list';
  // What the last update cost is there to be looked at.
  performance.clearMeasures('psiren-draw');
  performance.measure('psiren-draw', { start });
}

function drawMonitors(status, monitor) {
  const nav = $('monitors');
  nav.hidden = status.monitors.length === 0;
  redraw(nav, [status.monitors.map((m) => [m.monitor, m.status]), monitor?.monitor, chosen], () => status.monitors.map((m) => {
    const tab = h('a', { href: hrefOf({ monitor: m.monitor, feature: '' }), 'data-monitor': m.monitor, 'data-status': m.status,
      'aria-current': m === monitor ? 'page' : null, title: m.monitor },
      h('span', { class: `badge ${m.status}`, role: 'img', 'aria-label': m.status_text }, STATUS[m.status]?.icon ?? '○'),
      h('span', {}, m.monitor));
    onPlainClick(tab, () => choose({ monitor: m.monitor, feature: '' }));
    return tab;
  }));
}

/** A link that is followed in the page; with a modifier the browser opens it elsewhere. */
function onPlainClick(link, act) {
  link.addEventListener('click', (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.button) return;
    event.preventDefault();
    act();
  });
}

/** What passes with time: ages, and whether anybody still answers. */
function tick() {
  const silent = Date.now() - link.heardAt;
  const monitor = monitorNow();
  const words = notices(monitor, silent);
  $('stale').hidden = words.length === 0;
  redraw($('stale'), words, () => words.map((text) => h('p', {}, text)));
  const age = $('age');
  const seconds = monitor?.evaluation_age_seconds;
  if (age && seconds !== null && seconds !== undefined) {
    say(age, ago(seconds + (performance.now() - known.receivedAt) / 1000));
  }
  say($('connection'), words.length && (link.failing || silent > SILENT_MS) ? '✕ no answer' : link.streaming ? '● live' : '○ every minute');
}

function notices(monitor, silent) {
  const words = [];
  // Once told, it stays until something is heard: a connection that is then closed is no news.
  link.silent ||= link.failing && Date.now() - link.failing.since > 3000 || silent > (link.streaming ? SILENT_MS : POLL_MS + 30_000);
  if (link.silent) {
    const since = clockFormat.format(link.failing ? link.failing.since : link.heardAt);
    words.push(link.failing?.why ?? `psiren has not answered since ${since} UTC. The figures below are from before.`);
  }
  if (known.status && !known.status.ready) {
    for (const reason of Object.values(known.status.reasons)) words.push(`Not ready: ${reason}`);
  }
  if (monitor?.stale) {
    const last = monitor.last_counted_at;
    words.push(`The topic ${named(monitor.topic)} is silent: ${last ? `the last event was counted on ${when(last)} UTC` : 'no event was counted since psiren started'}.`);
  }
  if (known.status && !monitor) {
    words.push(chosen.monitor ? `No monitor is called ${named(chosen.monitor)}.` : 'No monitor is configured.');
  }
  return words;
}

function drawSummary(monitor) {
  redraw($('verdict'), [monitor.monitor, monitor.status], () => {
    if ($('verdict').firstChild) say($('announce'), `${monitor.monitor}: ${monitor.status_text}`);
    return [badge(monitor.status, monitor.status_text.replace(/^./, (c) => c.toUpperCase()))];
  });
  say($('headline'), headline(monitor));
  facts($('facts'), [
    ['Last closed window', monitor.window ? `${when(monitor.window.start)} – ${when(monitor.window.end)}` : 'none yet'],
    ['Events', count(monitor.events)],
    ['Coverage', monitor.filling ? `${percent(monitor.coverage)}, filling` : percent(monitor.coverage)],
    ['Topic', monitor.topic],
    ['Evaluated', $('age') ?? h('span', { id: 'age' }, '–')],
  ]);
  drawSilences(monitor);
  $('csv').href = new URL(`history?${new URLSearchParams({ format: 'csv', monitor: monitor.monitor })}`, API);
  $('dashboard').hidden = !monitor.dashboard_url;
  $('dashboard').firstChild.href = monitor.dashboard_url ?? '';
}

/** What is wrong, since when, in one sentence or two. */
function headline(monitor) {
  if (monitor.waiting_for && !monitor.window) return `Waiting for ${monitor.waiting_for}.`;
  const reading = monitor.caught_up ? '' : ' Still reading what the topic holds.';
  const open = monitor.incidents.filter((i) => i.feature);
  const total = plural(monitor.features.length, 'feature');
  if (!open.length) {
    const worst = bySeverity(monitor.features)[0];
    const most = worst?.psi === null || !worst ? '' : ` The highest PSI is ${short(worst.psi)}, of ${named(worst.feature)}.`;
    return `No open incident among ${total}.${most}${reading}`;
  }
  const since = Math.min(...open.map((i) => Date.parse(i.since)));
  const names = [...new Set(bySeverity(monitor.features).filter((f) => f.incidents.length).map((f) => f.feature))];
  const shown = names.slice(0, 4).map(named).join(', ') + (names.length > 4 ? ` and ${names.length - 4} more` : '');
  return `${names.length} of ${total} ${names.length === 1 ? 'has' : 'have'} an open incident: ${shown}. The oldest is open since ${when(since)}.${reading}`;
}

// ---- The list of features ----------------------------------------------------------------------

const rows = { limit: ROWS, of: new Map(), monitor: null };

function drawList(monitor) {
  segments($('range'), RANGES, chosen.range, (range) => choose({ range }));
  drawChips(monitor);
  if (document.activeElement !== $('search')) $('search').value = chosen.q;
  const needle = chosen.q.trim().toLowerCase();
  const found = bySeverity(monitor.features).filter((f) =>
    (!chosen.status || f.status === chosen.status) && (!needle || f.feature.toLowerCase().includes(needle)));
  const shown = found.slice(0, rows.limit);
  if (rows.monitor !== monitor.monitor) {
    rows.of.clear();
    rows.monitor = monitor.monitor;
  }
  const since = new Map(monitor.incidents.map((i) => [`${i.feature}\n${i.reason}`, i]));
  const selected = featureNow();
  const wantedRows = shown.map((feature) => {
    const row = rows.of.get(feature.feature) ?? makeRow(monitor, feature);
    updateRow(row, feature, since, selected);
    return row.tr;
  });
  arrange($('features').tBodies[0], wantedRows);
  const more = $('more');
  more.hidden = found.length <= shown.length;
  say(more, `Show ${Math.min(200, found.length - shown.length)} more of ${found.length}`);
  say($('nothing'), found.length ? '' : 'No feature matches the search and the filter.');
}

function drawChips(monitor) {
  const numbers = new Map();
  for (const { status } of monitor.features) numbers.set(status, (numbers.get(status) ?? 0) + 1);
  const shown = Object.keys(STATUS).filter((status) => status !== 'stale');
  redraw($('chips'), [shown.map((status) => numbers.get(status) ?? 0), chosen.status], () => shown.map((status) => {
    const pressed = chosen.status === status;
    const chip = h('button', { type: 'button', 'aria-pressed': String(pressed), 'data-status': status },
      badge(status, `${numbers.get(status) ?? 0} ${STATUS[status].word}`));
    chip.addEventListener('click', () => choose({ status: pressed ? '' : status }));
    return chip;
  }));
}

/** Puts rows in order, touching only what is out of place and keeping the focus. */
function arrange(body, wantedRows) {
  const focused = body.contains(document.activeElement) ? document.activeElement : null;
  let place = body.firstChild;
  for (const row of wantedRows) {
    if (row === place) place = place.nextSibling;
    else body.insertBefore(row, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function makeRow(monitor, feature) {
  const name = feature.feature;
  const link = h('a', { 'data-feature': name }, name);
  onPlainClick(link, () => {
    choose({ feature: name });
    if (!isWide.matches) $('name').focus();
  });
  const cells = { spark: cellOf('spark'), psi: cellOf('n psi'), live: cellOf('n live'), status: cellOf('status'), why: cellOf('why') };
  const tr = h('tr', { role: 'row', 'data-monitor': monitor.monitor, 'data-feature': name },
    h('th', { role: 'rowheader', scope: 'row' }, link), ...Object.values(cells));
  const row = { tr, link, ...cells, drawn: '', sparked: null, chosen: null };
  rows.of.set(name, row);
  return row;
}

function updateRow(row, feature, since, selected) {
  const own = feature.feature === selected;
  row.tr.classList.toggle('chosen', own);
  own ? row.link.setAttribute('aria-current', 'true') : row.link.removeAttribute('aria-current');
  if (row.chosen !== chosen) {
    row.chosen = chosen;
    row.link.href = hrefOf({ feature: feature.feature });
  }
  const open = feature.incidents.map((reason) => since.get(`${feature.feature}\n${reason}`)).filter(Boolean);
  const incidents = [...open.map(openSince), ...silencesOf(feature.feature).map(silencedUntil)];
  const drawn = JSON.stringify([feature.psi, feature.psi_live, feature.status, feature.reason, incidents]);
  if (row.drawn !== drawn) {
    row.drawn = drawn;
    row.tr.dataset.status = feature.status;
    row.why.replaceChildren(...incidents.flatMap((words) => [h('b', {}, words), ' · ']), feature.reason);
    say(row.psi, fixed(feature.psi));
    say(row.live, fixed(feature.psi_live));
    row.status.replaceChildren(badge(feature.status, feature.status_text));
  }
  const series = known.series?.monitor === rows.monitor ? known.series : null;
  if (row.sparked !== series && series) {
    row.sparked = series;
    drawSpark(row, series.features[feature.feature]?.psi ?? [], feature.thresholds.likely);
  }
}

/** PSI over the chosen range and the likely threshold; by the root, so that both can be seen. */
function drawSpark(row, values, limit) {
  if (!row.path) {
    row.limit = s('line', { class: 'spark-limit', x1: 0, x2: 100 });
    row.path = s('path', { class: 'spark' });
    row.spark.append(s('svg', { viewBox: '0 0 100 28', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, row.limit, row.path));
  }
  const top = Math.max(1.5 * limit, ...values);
  const y = (psi) => (26 - 24 * Math.sqrt(psi / top)).toFixed(1);
  const x = (i) => (values.length > 1 ? 100 * i / (values.length - 1) : 50).toFixed(1);
  row.limit.setAttribute('y1', y(limit));
  row.limit.setAttribute('y2', y(limit));
  row.path.setAttribute('d', linePath(values, x, y));
}

/** A path through values, broken where there is none. */
function linePath(values, x, y) {
  let d = '', pen = false;
  for (let i = 0; i < values.length; i++) {
    if (values[i] === null) { pen = false; continue; }
    d += `${pen ? 'L' : 'M'}${x(i)} ${y(values[i])}`;
    // A value without neighbours is a point, which a round cap makes visible.
    if (!pen && (values[i + 1] ?? null) === null) d += 'h0.01';
    pen = true;
  }
  return d;
}

// ---- The chosen feature ------------------------------------------------------------------------

function drawDetail(monitor) {
  const feature = featureNow();
  const section = $('detail');
  section.hidden = feature === null;
  if (feature === null) return;
  const figures = monitor.features.find((f) => f.feature === feature);
  say($('name'), feature);
  $('back').href = hrefOf({ feature: '' });
  $('silence-feature').hidden = !figures;
  for (const node of section.children) node.hidden = !figures && !node.contains($('name')) && node.id !== 'reason' && !node.contains($('back'));
  if (!figures) {
    say($('reason'), `The monitor ${monitor.monitor} has no such feature.`);
    redraw($('badge'), null, () => []);
    return;
  }
  section.dataset.feature = feature;
  section.dataset.status = figures.status;
  redraw($('badge'), figures.status, () => [badge(figures.status, figures.status_text)]);
  const open = monitor.incidents.filter((i) => i.feature === feature);
  say($('reason'), [figures.reason, ...open.map(openSince), ...silencesOf(feature).map(silencedUntil)].join(' · '));
  const records = figures.events === null ? null : figures.events + figures.missing + figures.invalid;
  const share = (n) => (records ? `${count(n)} (${percent(n / records)})` : count(n));
  facts($('feature-facts'), [
    ['PSI', short(figures.psi)],
    ['PSI live', short(figures.psi_live)],
    ['Values', count(figures.events)],
    ['Missing', share(figures.missing)],
    ['Wrong type', share(figures.invalid)],
    ...(figures.kind === 'categorical' ? [['Unseen', share(figures.unseen)]] : []),
    ['Needed for a verdict', count(figures.min_events)],
  ]);
  const chart = known.chart?.feature === feature && known.chart.monitor === monitor.monitor ? known.chart : null;
  const detail = known.detail?.feature === feature && known.detail.monitor === monitor.monitor ? known.detail : null;
  drawChart(chart, figures);
  drawBuckets(detail);
}

// ---- PSI over time -----------------------------------------------------------------------------

/** What is drawn now, for the pointer and the keys. */
const plot = { chart: null, figures: null, at: null, x: null, y: null, room: 600, width: 0, height: 240 };
const LEFT = 44, RIGHT = 82, TOP = 14, BOTTOM = 30;

function drawChart(chart, figures) {
  // Measured by the observer: asking here would lay out the whole page in between.
  const width = plot.room;
  const key = JSON.stringify([chart?.key, figures.feature, figures.thresholds, chosen.scale, width]);
  if (plot.key === key) return;
  const isOther = plot.chart?.feature !== chart?.feature || plot.chart?.monitor !== chart?.monitor;
  const wasLast = plot.at === null || plot.at === (plot.chart?.window_end.length ?? 0) - 1;
  const end = isOther || wasLast ? null : plot.chart.window_end[plot.at];
  Object.assign(plot, { chart, figures, key, width });
  const ends = chart?.window_end ?? [];
  const same = ends.indexOf(end);
  plot.at = ends.length ? (same >= 0 ? same : ends.length - 1) : null;
  drawPsi();
  drawEvents();
  drawCursor();
  drawPsiTable();
}

const psiOf = (chart) => chart?.features[chart.feature]?.psi ?? [];

/** By window: whether it is too small, or reaches back too far, for a verdict. */
function weakOf(chart) {
  const weak = chart.coverage.map((coverage) => coverage < 1);
  for (const at of chart.features[chart.feature]?.insufficient ?? []) weak[at] = true;
  return weak;
}

/** The vertical scale: linear, or logarithmic where thresholds would lie on the ground. */
function scaleOf(values, { possible, likely }) {
  const most = Math.max(1.3 * likely, 1.08 * Math.max(0, ...values.filter((v) => v !== null)));
  const kind = Object.hasOwn(SCALES, chosen.scale) ? chosen.scale : most > 8 * likely ? 'log' : 'linear';
  const bottom = plot.height - BOTTOM;
  if (kind === 'linear') {
    const step = niceStep(most / 4);
    const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => Number((i * step).toPrecision(6)));
    return { kind, ticks, y: (v) => bottom - (bottom - TOP) * v / most };
  }
  const least = Math.min(possible || 0.1, ...values.filter((v) => v > 0)) / 1.5;
  const low = Math.max(-3, Math.floor(Math.log10(least))), high = Math.log10(most);
  const ticks = Array.from({ length: Math.floor(high) - low + 1 }, (_, i) => Number(`1e${low + i}`));
  const y = (v) => bottom - (bottom - TOP) * (Math.max(low, Math.log10(v)) - low) / (high - low);
  return { kind, ticks, y };
}

function niceStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough || 1));
  return power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
}

function timeScale(chart) {
  const ends = chart.window_end;
  const pad = ends.length > 1 ? 0 : chart.window_slide_ms;
  const first = ends[0] - pad, last = ends[ends.length - 1] + pad;
  const x = (ms) => LEFT + (plot.width - LEFT - RIGHT) * (ms - first) / Math.max(1, last - first);
  return { first, last, x };
}

/** Instants for the axis: whole hours, days, weeks, months or years, as many as fit. */
function timeTicks(first, last, room) {
  const most = Math.max(2, Math.floor(room / 90));
  const hour = 3_600_000;
  const steps = [60_000, 300_000, 900_000, hour, 3 * hour, 6 * hour, 12 * hour, DAY, 2 * DAY, 7 * DAY, 14 * DAY];
  const step = steps.find((size) => (last - first) / size <= most);
  const ticks = [];
  if (step) {
    for (let t = Math.ceil(first / step) * step; t <= last; t += step) ticks.push(t);
    return { ticks, format: utc(step < DAY ? { hour: '2-digit', minute: '2-digit', day: 'numeric', month: 'short' } : { day: 'numeric', month: 'short' }) };
  }
  const months = Math.ceil((last - first) / (30 * DAY) / most);
  const start = new Date(first);
  for (let m = start.getUTCMonth() + 1; ticks.length < 400; m += 1) {
    const t = Date.UTC(start.getUTCFullYear(), m, 1);
    if (t > last) break;
    if (m % months === 0) ticks.push(t);
  }
  return { ticks, format: utc(months >= 12 ? { year: 'numeric' } : { month: 'short', year: 'numeric' }) };
}

function drawPsi() {
  const { chart, figures, width, height } = plot;
  const svg = $('psi-chart');
  const values = psiOf(chart);
  const { thresholds } = figures;
  const scale = scaleOf(values, thresholds);
  segments($('scale'), SCALES, scale.kind, (kind) => choose({ scale: kind }, { replace: true }));
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.dataset.scale = scale.kind;
  svg.setAttribute('aria-label', chartSummary(chart, figures));
  if (!values.length) {
    plot.x = null;
    svg.replaceChildren(s('text', { x: LEFT, y: height / 2 }, chart ? 'No window has closed in this range.' : 'Loading…'));
    return;
  }
  const { first, last, x } = timeScale(chart);
  Object.assign(plot, { x, y: scale.y });
  const right = width - RIGHT, bottom = height - BOTTOM;
  const level = (name) => scale.y(thresholds[name]);
  const weak = weakOf(chart);
  const path = (has) => linePath(values.map((v, at) => (has(at) ? v : null)), (at) => x(chart.window_end[at]).toFixed(1), (v) => scale.y(v).toFixed(1));
  svg.replaceChildren(
    statusGradient(level('possible'), level('likely')),
    ...scale.ticks.flatMap((tick) => [
      s('line', { class: 'grid', x1: LEFT, x2: right, y1: scale.y(tick), y2: scale.y(tick) }),
      s('text', { x: LEFT - 6, y: scale.y(tick) + 4, 'text-anchor': 'end' }, String(tick)),
    ]),
    ...incidentBands(chart, first, last, x, bottom),
    s('g', { id: 'window-band' }),
    ...timeAxis(first, last, x, bottom),
    ...thresholdLines(thresholds, level, right),
    s('path', { class: 'line weak', d: path((at) => weak[at] || weak[at - 1] || weak[at + 1]) }),
    s('path', { class: 'line', stroke: 'url(#by-status)', d: path((at) => !weak[at]) }),
    s('g', { id: 'point' }),
  );
  say($('legend'), legend(chart, weak));
}

function legend(chart, weak) {
  const open = (reason) => chart.incidents.filter((i) => i.feature === chart.feature && i.reason === reason).length;
  const incidents = Object.keys(REASONS).filter(open).map((reason) => `${REASONS[reason]} ${open(reason)}`);
  return [
    `Each point is a window of ${lasting(chart.window_size_ms)}, at its end, every ${lasting(chart.window_slide_ms)}.`,
    incidents.length ? `Shaded are incidents: ${incidents.join(', ')}.` : '',
    weak.includes(true) ? 'Dotted: not enough data for a verdict.' : '',
    'Below: events per window and, dashed, its coverage.',
  ].filter(Boolean).join(' ');
}

/** The two lines, with their names beside the plot and not upon each other. */
function thresholdLines(thresholds, level, right) {
  const apart = Math.max(0, 13 - (level('possible') - level('likely'))) / 2;
  const line = (name, shift) => [
    s('line', { class: `threshold ${name}`, 'data-threshold': name, 'data-value': thresholds[name], x1: LEFT, x2: right, y1: level(name), y2: level(name) }),
    s('text', { class: name, x: right + 7, y: level(name) + 4 + shift }, `${name} ${short(thresholds[name])}`),
  ];
  return [...line('possible', apart), ...line('likely', -apart)];
}

/** The line's colour follows the thresholds it crosses. */
function statusGradient(possible, likely) {
  const height = plot.height;
  const stop = (y, name) => s('stop', { class: name, offset: Math.min(1, Math.max(0, y / height)) });
  return s('defs', {}, s('linearGradient', { id: 'by-status', gradientUnits: 'userSpaceOnUse', x1: 0, x2: 0, y1: 0, y2: height },
    stop(likely, 'likely'), stop(likely, 'possible'), stop(possible, 'possible'), stop(possible, 'none')));
}

/** A shade where any incident was open, and above it a strip for each reason. */
function incidentBands(chart, first, last, x, bottom) {
  const lanes = { psi: 0, missing: 1, invalid: 2 };
  const spans = chart.incidents.filter((i) => i.feature === chart.feature)
    .map((i) => ({ ...i, start: Math.max(first, i.from), end: Math.min(last, i.to ?? last) }))
    .filter((i) => i.start <= i.end).sort((a, b) => a.start - b.start);
  const shades = [];
  for (const { start, end } of spans) {
    const before = shades.at(-1);
    if (before && start <= before.end) before.end = Math.max(before.end, end);
    else shades.push({ start, end });
  }
  const place = ({ start, end }) => ({ x: x(start), width: Math.max(2, x(end) - x(start)) });
  return [
    ...shades.map((shade) => s('rect', { class: 'incident', ...place(shade), y: TOP, height: bottom - TOP })),
    ...spans.map((i) => s('rect', { class: `incident-mark ${i.reason}`, 'data-incident': i.reason, ...place(i), y: TOP - 8 + 4 * lanes[i.reason], height: 3 },
      s('title', {}, `${REASONS[i.reason]}, ${when(i.from)} – ${i.to === null ? 'open' : when(i.to)}`))),
  ];
}

function timeAxis(first, last, x, bottom) {
  const { ticks, format } = timeTicks(first, last, plot.width - LEFT - RIGHT);
  const labels = ticks.flatMap((t) => {
    const near = x(t) > plot.width - RIGHT - 30 ? 'end' : x(t) < LEFT + 20 ? 'start' : 'middle';
    return [
      s('line', { class: 'axis', x1: x(t), x2: x(t), y1: bottom, y2: bottom + 4 }),
      s('text', { x: x(t), y: bottom + 26, 'text-anchor': near }, format.format(t)),
    ];
  });
  return [s('line', { class: 'axis', x1: LEFT, x2: plot.width - RIGHT, y1: bottom, y2: bottom }), ...labels];
}

function chartSummary(chart, { feature, thresholds }) {
  const values = psiOf(chart).filter((v) => v !== null);
  if (!values.length) return `PSI of ${feature} over time: no values in this range.`;
  const above = values.filter((v) => v > thresholds.likely).length;
  return `PSI of ${feature} over ${plural(values.length, 'window')}, up to ${when(chart.window_end.at(-1))}: latest ${short(values.at(-1))}, ` +
    `least ${short(Math.min(...values))}, greatest ${short(Math.max(...values))}; ${above} above the likely threshold ${thresholds.likely}. The table below has every value.`;
}

function drawEvents() {
  const { chart, width } = plot;
  const svg = $('events-chart');
  const height = 76, top = 8, bottom = 70;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  const events = chart?.events ?? [];
  if (!events.length) {
    svg.setAttribute('aria-label', 'Events per window: none in this range.');
    svg.replaceChildren();
    return;
  }
  const most = Math.max(1, ...events);
  const x = (i) => plot.x(chart.window_end[i]).toFixed(1);
  const y = (n) => (bottom - (bottom - top) * n / most).toFixed(1);
  const line = linePath(events, x, y);
  const least = Math.min(...chart.coverage);
  svg.setAttribute('aria-label', `Events per window: between ${count(Math.min(...events))} and ${count(most)}. Coverage: at least ${percent(least)}.`);
  svg.replaceChildren(
    s('text', { x: LEFT - 6, y: top + 4, 'text-anchor': 'end' }, new Intl.NumberFormat('en', { notation: 'compact' }).format(most)),
    s('text', { x: LEFT - 6, y: bottom + 2, 'text-anchor': 'end' }, '0'),
    s('path', { class: 'area', d: `${line}L${x(events.length - 1)} ${bottom}L${x(0)} ${bottom}Z` }),
    s('path', { class: 'events', d: line }),
    s('path', { class: 'coverage', d: linePath(chart.coverage, x, (c) => y(c * most)) }),
    s('line', { class: 'axis', x1: LEFT, x2: width - RIGHT, y1: bottom, y2: bottom }),
  );
}

/** The window under the cursor: its span, its point, its figures. */
function drawCursor() {
  const { chart, at, x, y, width, height, figures } = plot;
  const cursor = $('cursor');
  const ends = chart?.window_end ?? [];
  cursor.hidden = at === null || !x;
  if (cursor.hidden) {
    say($('readout'), '');
    return;
  }
  const psi = psiOf(chart)[at], end = ends[at], bottom = height - BOTTOM;
  const right = x(end), left = Math.max(LEFT, x(end - chart.window_size_ms));
  const size = lasting(chart.window_size_ms);
  // A narrow window has its length beside it.
  const [labelAt, anchor] = right - left > 30 ? [(left + right) / 2, 'middle'] : left > width / 2 ? [left - 5, 'end'] : [right + 5, 'start'];
  $('window-band').replaceChildren(
    s('rect', { class: 'window', x: left, width: Math.max(1, right - left), y: TOP, height: bottom - TOP }),
    s('path', { class: 'bracket', d: `M${left} ${bottom - 4}v8H${right}v-8` }),
    s('text', { class: 'window-text', x: labelAt, y: bottom + 14, 'text-anchor': anchor }, size));
  $('point').replaceChildren(s('line', { class: 'hair', x1: right, x2: right, y1: TOP, y2: bottom }),
    ...(psi === null ? [] : [s('circle', { class: 'dot', cx: right, cy: y(psi), r: 5 })]));
  const words = psi === null ? 'no value' : weakOf(chart)[at] ? 'not enough data for a verdict' : psi > figures.thresholds.likely ? 'above likely' : psi >= figures.thresholds.possible ? 'above possible' : 'below both thresholds';
  const coverage = chart.coverage[at] < 1 ? `, coverage ${percent(chart.coverage[at])}` : '';
  const open = chart.incidents.some((i) => i.feature === chart.feature && i.from <= end && (i.to === null || i.to > end)) ? ', incident open' : '';
  const rest = `, ${words}, ${plural(chart.events[at], 'event')}${coverage}${open}`;
  $('readout').replaceChildren(`${when(end - chart.window_size_ms)} – ${when(end)}: `, h('b', {}, `PSI ${short(psi)}`), rest);
  const values = { 'aria-valuemin': 1, 'aria-valuemax': ends.length, 'aria-valuenow': at + 1, 'aria-valuetext': $('readout').textContent };
  for (const [name, value] of Object.entries(values)) cursor.setAttribute(name, value);
}

function moveTo(index) {
  const last = (plot.chart?.window_end.length ?? 0) - 1;
  const at = Math.max(0, Math.min(last, index));
  if (last < 0 || at === plot.at) return;
  plot.at = at;
  drawCursor();
}

let pointer = 0;

/** Once a frame at most, however fast the pointer moves. */
function onPointer(event) {
  cancelAnimationFrame(pointer);
  pointer = requestAnimationFrame(() => pointAt(event.clientX));
}

function pointAt(clientX) {
  if (!plot.x) return;
  const px = clientX - $('cursor').getBoundingClientRect().left;
  const ends = plot.chart.window_end;
  let low = 0, high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (plot.x(ends[middle]) < px) low = middle + 1; else high = middle;
  }
  const before = low > 0 && px - plot.x(ends[low - 1]) < plot.x(ends[low]) - px;
  moveTo(before ? low - 1 : low);
}

function keyOnChart(event) {
  const last = (plot.chart?.window_end.length ?? 0) - 1;
  const page = Math.max(1, Math.round(last / 10));
  const to = { ArrowLeft: plot.at - 1, ArrowDown: plot.at - 1, ArrowRight: plot.at + 1, ArrowUp: plot.at + 1,
    PageDown: plot.at - page, PageUp: plot.at + page, Home: 0, End: last }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  moveTo(to);
}

const psiRows = () => {
  const { chart } = plot;
  const rowsOfChart = psiOf(chart).map((psi, i) => [new Date(chart.window_end[i] - chart.window_size_ms).toISOString(),
    new Date(chart.window_end[i]).toISOString(), psi, chart.events[i], chart.coverage[i]]);
  return rowsOfChart.reverse();
};

/** A thousand rows are made only for who looks at them. */
function drawPsiTable() {
  const details = $('psi-table');
  const place = details.querySelector('.scroll');
  if (!details.open) { place.replaceChildren(); return; }
  place.replaceChildren(h('table', {},
    h('thead', {}, h('tr', {}, ...['Window ends', 'PSI', 'Events', 'Coverage'].map((t, i) => h('th', { scope: 'col', class: i ? 'n' : null }, t)))),
    h('tbody', {}, ...psiRows().map(([, end, psi, events, coverage]) => h('tr', {},
      h('th', { scope: 'row' }, when(end)), h('td', { class: 'n' }, short(psi)), h('td', { class: 'n' }, count(events)), h('td', { class: 'n' }, percent(coverage)))))));
}

// ---- Reference against production --------------------------------------------------------------

let bucketRows = [];

function drawBuckets(detail) {
  segments($('of'), WINDOWS, chosen.of === 'live' ? 'live' : 'closed', (of) => choose({ of }, { replace: true }));
  const now = detail && (chosen.of === 'live' ? detail.live : detail.last_final);
  bucketRows = detail ? bucketsOf(detail, now) : [];
  const most = Math.max(...bucketRows.flatMap((b) => [b.reference ?? 0, b.production ?? 0]), 1e-9);
  const mostTerm = Math.max(...bucketRows.map((b) => b.term ?? 0), 1e-9);
  // The order of numbers means something; that of categories does not.
  const ordered = detail?.last_final?.kind === 'categorical' ? [...bucketRows].sort((a, b) => (b.term ?? 0) - (a.term ?? 0)) : bucketRows;
  redraw($('buckets'), [detail?.feature, detail?.monitor, chosen.of, now?.window, bucketRows.map((b) => b.events)], () => [
    h('caption', { class: 'hidden' }, `Shares of ${detail?.feature ?? ''} by bucket, reference against production`),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, column('', 'Values'),
      column('', h('span', { class: 'key' }), 'reference ', h('span', { class: 'key now' }), 'production'),
      column('n', 'Ref.'), column('n', 'Prod.'), column('n', 'Adds to PSI'))),
    h('tbody', { role: 'rowgroup' }, ...ordered.map((bucket) => bucketRow(bucket, most, mostTerm))),
  ]);
  drawWords(detail, now);
}

const column = (name, ...children) => h('th', { role: 'columnheader', scope: 'col', class: name }, ...children);
const cellOf = (name, ...children) => h('td', { role: 'cell', class: name }, ...children);

/** Each bucket with its shares on both sides and its term. */
function bucketsOf(detail, now) {
  return detail.buckets.map((bucket, i) => ({
    name: bucket.bucket,
    words: rangeWords(detail.feature, bucket),
    reference: bucket.share,
    production: now?.buckets[i]?.share ?? null,
    referenceEvents: bucket.events,
    events: now?.buckets[i]?.events ?? null,
    term: now?.buckets[i]?.term ?? null,
  }));
}

function bucketRow(bucket, most, mostTerm) {
  const bar = (share, y, name) => s('rect', { class: name, x: 0, y, height: 7, rx: 1, width: `${(100 * (share ?? 0) / most).toFixed(2)}%` });
  const bold = (bucket.term ?? 0) > 0.001 && bucket.term === mostTerm ? 'n most' : 'n';
  return h('tr', { role: 'row', 'data-bucket': bucket.name },
    h('th', { role: 'rowheader', scope: 'row' }, bucket.words),
    cellOf('bars', s('svg', { 'aria-hidden': 'true' }, bar(bucket.reference, 1, 'reference'), bar(bucket.production, 10, 'production'))),
    cellOf('n', percent(bucket.reference)), cellOf('n', percent(bucket.production)), cellOf(bold, short(bucket.term)));
}

/** The bucket that moved most, and what is in no bucket, in words. */
function drawWords(detail, now) {
  const moved = bucketRows.reduce((a, b) => ((b.term ?? 0) > (a?.term ?? 0) ? b : a), null);
  say($('mover'), !detail ? 'Loading…' : !now ? 'No such window yet; these are the shares of the reference.'
    : !moved ? 'No share differs.' : `Most of it: ${named(moved.words)}, ${percent(moved.reference)} → ${percent(moved.production)}, adds ${short(moved.term)} of ${short(now.psi)}.`);
  if (!detail || !now) { say($('gaps'), ''); return; }
  const records = now.events + now.missing + now.invalid;
  const before = detail.reference_events + detail.reference_missing;
  const part = (n, of) => percent(of ? n / of : null);
  const unseen = now.kind === 'categorical' ? ` Unseen in the reference: ${count(now.unseen)} (${part(now.unseen, records)}).` : '';
  say($('gaps'), `Missing: ${count(now.missing)} (${part(now.missing, records)}; reference ${part(detail.reference_missing, before)}). ` +
    `Wrong type: ${count(now.invalid)} (${part(now.invalid, records)}).${unseen} Window ${when(now.window.start)} – ${when(now.window.end)}.`);
}

// ---- Copying -----------------------------------------------------------------------------------

/** Text that a spreadsheet would take for a formula gets a quote before it, as in psiren's CSV. */
function cell(value) {
  const text = value === null || value === undefined ? '' : typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function copy(button, header, lines) {
  const text = [header, ...lines].map((line) => line.map(cell).join(',')).join('\n') + '\n';
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS, browsers give no clipboard but to a selection.
    const area = h('textarea', { class: 'hidden', 'aria-hidden': 'true' });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
    button.focus();
  }
  say(button, 'Copied');
  setTimeout(() => say(button, 'Copy as CSV'), 1500);
}

// ---- Changes, with the token where there is one ------------------------------------------------

/** What waits for the token and where the focus goes then, and what is to be silenced. */
const wanted = { again: null, focus: null, silence: null };

async function change(path, body, method = 'POST') {
  const token = kept('sessionStorage', 'psiren-token');
  const headers = { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) };
  return ask(path, { method, headers, body: body && JSON.stringify(body) });
}

/** Says why nothing was changed. Where the token is missing it is asked for, and then tried `again`. */
function refused(error, result, what, again, focus) {
  result.className = 'failed';
  if (!(error instanceof Refused && error.status === 401)) {
    say(result, `${what}: ${error instanceof Refused ? error.message : 'psiren does not answer.'}`);
    return;
  }
  const wasWrong = kept('sessionStorage', 'psiren-token') !== null;
  keep('sessionStorage', 'psiren-token', null);
  say(result, `${what}: ${wasWrong ? 'the token is wrong.' : 'it needs the token.'}`);
  Object.assign(wanted, { again, focus });
  $('ask').showModal();
}

function answerToken() {
  const token = $('token').value.trim(), { again } = wanted;
  $('ask').close();
  if (!token) return;
  keep('sessionStorage', 'psiren-token', token);
  again?.();
}

/** However the dialog was closed, with Escape, too. */
function forgetToken() {
  $('token').value = '';
  wanted.focus?.focus();
  Object.assign(wanted, { again: null, focus: null });
}

// ---- Check now ---------------------------------------------------------------------------------

async function checkNow() {
  const monitor = monitorNow();
  const button = $('check-now'), result = $('check-result');
  if (!monitor || button.disabled) return;
  button.disabled = true;
  result.className = '';
  say(result, 'Checking…');
  try {
    say(result, checkWords((await change('check', { monitor: monitor.monitor })).monitors[0]));
    soon();
  } catch (error) {
    refused(error, result, 'Not checked', checkNow, button);
  } finally {
    button.disabled = false;
  }
}

function checkWords(checked) {
  const { live } = checked;
  const at = clockFormat.format(Date.now());
  if (!live) return `Checked at ${at} UTC: no event has been counted yet.`;
  const drifted = bySeverity(live.features.map((f) => ({ ...f, incidents: [] }))).filter((f) => STATUS[f.status].rank >= 2);
  const worst = drifted.slice(0, 3).map((f) => `${named(f.feature)} ${short(f.psi)}`).join(', ');
  const more = drifted.length > 3 ? ` and ${drifted.length - 3} more` : '';
  return `${STATUS[live.status].icon} Checked at ${at} UTC: ${live.status_text}${worst ? `; ${worst}${more}` : ''}. ` +
    `${plural(live.events, 'event')} from ${when(live.window.start)} to ${when(live.window.end)}, up to the newest.`;
}

// ---- Silences ----------------------------------------------------------------------------------

const silencedUntil = (silence) => `silenced until ${when(silence.until)}`;
/** What a silence covers, as the subject of a sentence. */
const covered = (silence) => (silence.feature === null ? 'The whole monitor' : named(silence.feature));
const silencesOf = (feature) => (monitorNow()?.silences ?? []).filter((silence) => silence.feature === null || silence.feature === feature);

function drawSilences(monitor) {
  redraw($('silences'), monitor.silences, () => monitor.silences.map((silence) => {
    const end = h('button', { type: 'button', 'aria-label': `End the silence of ${silence.feature ?? 'the whole monitor'}` }, 'End now');
    // The button goes with its silence.
    end.addEventListener('click', () => endSilence(silence.id).then(() => $('ask').open || $('silence-monitor').focus()));
    const by = silence.by ? ` (${named(silence.by)})` : '';
    return h('li', { 'data-silence': silence.id }, h('b', {}, covered(silence)),
      ` is ${silencedUntil(silence)} UTC: ${named(silence.reason)}${by} `, end);
  }));
}

/** Asks for how long and why; `feature` is null for the whole monitor. */
function askSilence(feature) {
  const monitor = monitorNow();
  if (!monitor) return;
  wanted.silence = { monitor: monitor.monitor, ...(feature === null ? {} : { feature }) };
  say($('hush-title'), `Silence ${feature === null ? `all of ${named(monitor.monitor)}` : named(feature)}`);
  $('hush-by').value = kept('localStorage', 'psiren-name') ?? '';
  $('hush').showModal();
  $('hush-reason').focus();
}

function submitSilence() {
  const by = $('hush-by').value.trim();
  keep('localStorage', 'psiren-name', by || null);
  const silence = { ...wanted.silence, for: $('hush-for').value, reason: $('hush-reason').value, ...(by ? { by } : {}) };
  $('hush').close();
  addSilence(silence);
}

function addSilence(asked) {
  changeSilence('Not silenced', () => addSilence(asked), () => change('silences', asked),
    (silence) => `${covered(silence)} is ${silencedUntil(silence)} UTC.`);
}

function endSilence(id) {
  return changeSilence('Not ended', () => endSilence(id), () => change(`silences/${encodeURIComponent(id)}`, undefined, 'DELETE'),
    (silence) => `${covered(silence)} is silenced no more.`);
}

async function changeSilence(what, again, act, words) {
  const result = $('check-result');
  result.className = '';
  try {
    say(result, words(await act()));
    soon();
  } catch (error) {
    refused(error, result, what, again, $('silence-monitor'));
  }
}

// ---- Light and dark ----------------------------------------------------------------------------

function theme(next) {
  const order = { system: 'light', light: 'dark', dark: 'system' };
  const before = kept('localStorage', 'psiren-theme');
  let now = Object.hasOwn(order, before ?? '') ? before : 'system';
  if (next) {
    now = order[now];
    keep('localStorage', 'psiren-theme', now === 'system' ? null : now);
  }
  document.documentElement.dataset.theme = now;
  say($('theme'), `Theme: ${now}`);
}

// ---- Hands -------------------------------------------------------------------------------------

function wire() {
  theme(false);
  $('theme').addEventListener('click', () => theme(true));
  $('check-now').addEventListener('click', checkNow);
  $('search').addEventListener('input', (event) => {
    const href = hrefOf({ q: event.target.value });
    history.replaceState(null, '', href);
    chosen = readUrl();
    rows.limit = ROWS;
    if (monitorNow()) drawList(monitorNow());
  });
  $('more').addEventListener('click', () => {
    rows.limit += 200;
    draw();
  });
  onPlainClick($('back'), () => {
    const feature = chosen.feature;
    choose({ feature: '' });
    rows.of.get(feature)?.link.focus();
  });
  $('psi-table').addEventListener('toggle', drawPsiTable);
  $('psi-csv').addEventListener('click', (event) => copy(event.target, ['window_start', 'window_end', 'psi', 'events', 'coverage'], psiRows()));
  $('buckets-csv').addEventListener('click', (event) => copy(event.target,
    ['bucket', 'values', 'reference_events', 'reference_share', 'events', 'share', 'term'],
    bucketRows.map((b) => [b.name, b.words, b.referenceEvents, b.reference, b.events, b.production, b.term])));
  $('cursor').addEventListener('pointermove', onPointer);
  $('cursor').addEventListener('pointerdown', onPointer);
  $('cursor').addEventListener('keydown', keyOnChart);
  $('silence-monitor').addEventListener('click', () => askSilence(null));
  $('silence-feature').addEventListener('click', () => askSilence(featureNow()));
  $('hush-for').append(...Object.entries(SILENCES).map(([value, words]) => h('option', { value }, words)));
  $('hush-no').addEventListener('click', () => $('hush').close());
  $('hush-form').addEventListener('submit', (event) => {
    event.preventDefault();
    submitSilence();
  });
  $('hush').addEventListener('close', () => { $('hush-reason').value = ''; });
  $('ask-no').addEventListener('click', () => $('ask').close());
  $('ask').addEventListener('close', forgetToken);
  $('ask-form').addEventListener('submit', (event) => {
    event.preventDefault();
    answerToken();
  });
  new ResizeObserver(([{ contentRect }]) => {
    const room = Math.round(contentRect.width);
    if (room === 0 || room === plot.room) return;
    plot.room = room;
    draw();
  }).observe($('plot'));
  isWide.addEventListener('change', follow);
  addEventListener('popstate', () => {
    chosen = readUrl();
    follow();
  });
  // Browsers open six connections to a host: pages that nobody sees leave theirs to others.
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      stream?.abort();
    } else {
      link.heardAt = Date.now();
      listen();
      refresh();
    }
  });
  setInterval(tick, 1000);
  setInterval(() => !document.hidden && (link.streaming || refresh()), POLL_MS);
}

wire();
refresh();
listen();
