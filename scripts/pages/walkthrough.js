'use strict';
// What is seen and done: the drawing, the steps, the table of parameters, and the controls.

const FITTING = { // the last activation of losses that don't take any
  'cross-entropy': 'identity', 'binary-cross-entropy-of-logits': 'identity',
  'cross-entropy-of-probabilities': 'softmax', 'binary-cross-entropy': 'sigmoid',
};
const $ = id => document.getElementById(id);
let net = DATA.given, mistake = '', cursor = -1, losses = [], playing = 0, table = '';
const rules = () => ({...RULES, ...MISTAKES[mistake]?.[1]});

/** A number for the drawing and the table. */
function short(value, digits = 4) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value), most = 10 ** digits;
  const far = value && (size < 0.5 / most || size >= 10 * most);
  const near = String(+(+value.toFixed(digits)).toPrecision(digits + 1));
  return (far ? value.toExponential(1) : near).replaceAll('-', '−');
}

/** All numbers anew from `net`, and all that shows them. */
function render() {
  const all = values(net, rules()), right = values(net), slopes = differences(net);
  const steps = stepsOf(net, all), place = new Map(steps.map(({name}, i) => [name, i]));
  cursor = Math.min(cursor, steps.length - 1);
  const shown = name => cursor < 0 || !(place.get(name) > cursor);
  const off = name => { // by finite differences, or where there are none by the right backward
    const {slope, error} = slopes[name.slice(1)] ?? {slope: right[name], error: 1e-12};
    return name[0] === 'd' && Math.abs(all[name] - slope) > error;
  };
  tabulate();
  draw(all, shown, off, steps[cursor]);
  explain(steps, off);
  for (const cell of document.querySelectorAll('[data-name]')) {
    const {name} = cell.dataset, wrong = shown(name) && off(name);
    if (cell.tagName !== 'INPUT') cell.textContent = shown(name) ? short(all[name], 6) : '';
    else if (cell !== document.activeElement) cell.value = +at(net, name).toPrecision(6);
    cell.classList.toggle('wrong', wrong);
  }
  for (const cell of document.querySelectorAll('[data-slope]')) {
    const {slope} = slopes[cell.dataset.slope];
    cell.textContent = Number.isNaN(slope) ? 'a kink' : short(slope, 6);
  }
  const names = Object.keys(slopes), wrong = names.filter(name => off(`d${name}`)).length;
  $('verdict').innerHTML = (mistake ? `The line is now ${mathml(MISTAKES[mistake][0])}. ` : '')
    + (wrong ? `${wrong} of ${names.length} gradients are wrong.` : 'Every gradient is right.');
  $('expose').hidden = !mistake || wrong > 0;
  const loose = net.loss === 'cross-entropy' && Math.abs(sum(net.t) - 1) > 1e-9;
  $('warning').textContent = Number.isFinite(all.div)
    ? (loose ? 'o − t is the derivative only where the targets sum to 1.' : '')
    : `${net.loss} has no value for this output; choose another last activation.`;
  const fallen = [...losses, all.div, ...(losses.length ? [] : [all.new_div])];
  const top = Math.max(...fallen.filter(Number.isFinite)), last = fallen.length - 1;
  const points = fallen.map((div, i) => [300 * i / last, 70 - 70 * div / top]);
  $('line').setAttribute('points', points.join(' '));
  $('fallen').textContent = losses.length
    ? `Div from ${short(fallen[0])} to ${short(all.div)} by ${last} updates`
    : `Div ${short(all.div)}; an update makes it ${short(all.new_div)}`;
}

/** The rows of the table, where the network has another form. */
function tabulate() {
  const names = [...named('x', net.x).map(([name]) => name), ...parameters(net),
    ...named('t', net.t).map(([name]) => name)];
  if (table !== names.join()) {
    $('parameters').innerHTML = names.map(name => `<tr><th scope="row">${mathml(leftOf(name))}</th>
      <td><input type="number" step="0.1" data-name="${name}" aria-label="${name}"></td>
      ${/[wb]/.test(name) ? `<td data-name="d${name}"></td><td data-slope="${name}"></td>` : ''}
      </tr>`).join('');
  }
  table = names.join();
  net.sizes.forEach((size, k) => { $(`size${k}`).value = size; });
  net.activations.forEach((name, k) => { $(`activation${k + 1}`).value = name; });
  $('loss').value = net.loss;
  $('biases').checked = 'b1' in net;
}

/** The network; what the formula of a step names is lit. */
function draw(all, shown, off, step) {
  const svg = $('drawing'), W = svg.clientWidth, H = svg.clientHeight, narrow = W < 560;
  const [size, right] = narrow ? [10, 50] : [13, 90], high = H - 3 * size;
  const digits = 4 - narrow - (Math.max(...net.sizes) > 3);
  const r = Math.min(narrow ? 24 : 35, high / Math.max(...net.sizes) / 2 - 1.8 * size);
  const N = net.sizes.length - 1, gap = (W - 2 * r - 12 - right) / N;
  const x = k => r + 12 + k * gap, y = (k, i) => 2 * size + high * (i + 0.5) / net.sizes[k];
  const named = step ? step.left + step.formula : '';
  const lit = (letters, ...place) =>
    ([...letters].some(letter => named.includes(symbol(letter, ...place))) ? 'lit' : '');
  const edges = [], labels = [];
  const label = (px, py, name, kind, before = '', anchor = 'middle') => {
    if (!shown(name)) return;
    const wrong = off(name), value = short(all[name] ?? at(net, name), digits);
    labels.push(`<text x="${px}" y="${py}" class="${kind} ${wrong ? 'wrong' : ''}" data-drag="${
      kind === 'given' ? name : ''}" text-anchor="${anchor}">${
      wrong && !narrow ? '✗ ' : ''}${before}${value}</text>`);
  };
  for (let k = 1; k <= N; k++) {
    const m = net.sizes[k - 1], n = net.sizes[k], part = 1 / (m + 1); // where labels lie evenly
    const stacked = high / (n * (m + 1)) > 2.4 * size;
    range(m).forEach(i => range(n).forEach(j => {
      const w = net[`w${k}`][i][j], name = `w${k}[${i + 1},${j + 1}]`, from = y(k - 1, i);
      const px = x(k - 1) + Math.max(part * gap, r + 4.8 * size);
      const py = from + part * (y(k, j) - from);
      const line = `<line x1="${x(k - 1)}" y1="${from}" x2="${x(k)}" y2="${y(k, j)}"`;
      const width = 1 + 3 * Math.min(1, Math.abs(w));
      edges.push(`${line} class="${w < 0 ? 'minus' : 'plus'}" stroke-width="${width}"/>`);
      if (lit('w', k, i + 1, j + 1)) edges.unshift(`${line} class="glow"/>`);
      const anchors = stacked ? ['middle', 'middle'] : ['end', 'start'];
      label(px - (stacked ? 0 : 4), py + (stacked ? -3 : 4), name, 'given', '', anchors[0]);
      label(px, py + (stacked ? size : 4), `d${name}`, 'gradient', '', anchors[1]);
    }));
  }
  net.sizes.forEach((count, k) => range(count).forEach(i => {
    const px = x(k), py = y(k, i), index = `${k}[${i + 1}]`;
    const prefix = letter => (r < 34 ? '' : `${letter} `);
    labels.push(`<circle cx="${px}" cy="${py}" r="${r}" class="${lit('zyb', k, i + 1)}"/>`);
    if (k === N) label(px + r + 6, py + 5, `t[${i + 1}]`, 'given', 't = ', 'start');
    if (k === 0) return label(px, py + 5, `x[${i + 1}]`, 'given');
    label(px, py - 4, `z${index}`, 'inside', prefix('z'));
    label(px, py + size, `y${index}`, 'inside', prefix('y'));
    label(px, py + r + size, `dy${index}`, 'gradient', prefix('dy'));
    label(px, py + r + 2 * size, `dz${index}`, 'gradient', prefix('dz'));
    if (net[`b${k}`]) label(px - size - 3, py - r - 5, `b${index}`, 'given', prefix('b'), 'end');
    if (net[`b${k}`]) label(px - size + 3, py - r - 5, `db${index}`, 'gradient', '', 'start');
  }));
  ['input', ...net.activations].forEach((head, k) => labels.push(
    `<text x="${x(k)}" y="${size + 4}" class="head" text-anchor="middle">${head}</text>`));
  label(W - 8, H - 8, 'div', 'head', 'Div = ', 'end');
  svg.setAttribute('viewBox', `0 0 ${W} ${H}`);
  svg.setAttribute('aria-label', `${net.sizes.join('-')} network, ${net.activations.join(' and ')},
    loss ${net.loss}; its numbers are in the table and the steps below`);
  svg.style.fontSize = `${size}px`;
  svg.innerHTML = edges.join('') + labels.join('');
}

/** The step at the cursor, and all of them; with remarks while the numbers are the first ones. */
function explain(steps, off) {
  const step = steps[cursor], parts = [...new Set(steps.map(({part}) => part))];
  const first = part => steps.findIndex(each => each.part === part);
  const about = name => (net === DATA.given ? DATA.about[name] ?? '' : '');
  const line = ({name, left, formula, numbers, value}) => {
    const sides = [...new Set([left, formula, numbers, number(value)])].filter(Boolean);
    const kind = off(name) ? 'class="wrong"' : '';
    return `<span ${kind}>${mathml(sides.join(' = '))}</span>${about(name)}`;
  };
  const part = step && step === steps[first(step.part)] ? about(step.part) : '';
  $('where').textContent = step ? `${cursor + 1} of ${steps.length}: ${step.part}` : 'All at once';
  $('formula').innerHTML = step ? line(step) + part : $('hint').innerHTML;
  $('parts').innerHTML = parts.map(part => `<button data-step="${first(part)}"
    ${part === step?.part ? 'aria-current="step"' : ''}>${part.split(' (')[0]}</button>`).join('');
  const items = steps.map((each, i) => [each.part, `<li data-step="${i}">${line(each)}</li>`]);
  $('all').innerHTML = parts.map(part => `<h3>${part}</h3>${about(part)}<ol>${
    items.filter(([of]) => of === part).map(([, item]) => item).join('')}</ol>`).join('');
}

/** Another network; what was learned is forgotten, unless it is the same after more updates. */
function become(another, kept = []) {
  [net, losses] = [another, kept];
  render();
}

function learn(times) {
  const kept = [...losses];
  let after = net;
  for (let i = 0; i < times; i++) {
    const tape = forward(after);
    kept.push(tape.div);
    after = update(after, backward(after, tape, rules()));
  }
  become(after, kept);
}

/** The network in another form: numbers that it has stay, others are tenths from -0.9 to 0.9. */
function reshaped({sizes = net.sizes, biases = 'b1' in net, ...changes}) {
  const tenth = () => (Math.random() < 0.5 ? -1 : 1) * Math.ceil(9 * Math.random()) / 10;
  const fitted = (old, n, other = tenth) => range(n).map(i => old?.[i] ?? other());
  const x = fitted(net.x, sizes[0]), t = fitted(net.t, sizes.at(-1), () => 0);
  const another = {...net, sizes, x, t, ...changes};
  for (let k = 1; k < sizes.length; k++) {
    another[`w${k}`] = range(sizes[k - 1]).map(i => fitted(net[`w${k}`][i], sizes[k]));
    if (biases) another[`b${k}`] = fitted(net[`b${k}`], sizes[k]);
    else delete another[`b${k}`];
  }
  return another;
}

function go(to) {
  cursor = Math.max(-1, to);
  render();
}

function play(on) {
  clearInterval(playing);
  playing = on && setInterval(() => go(cursor + 1), 1500);
  $('play').textContent = on ? 'Pause' : 'Play';
}

const CLICKS = {
  overview: () => go(-1), back: () => go(cursor - 1), next: () => go(cursor + 1),
  play: () => play(!playing), once: () => learn(1), often: () => learn(100),
  again: () => become(DATA.given),
  expose: () => become(reshaped({sizes: [2, 3, 2], activations: ['tanh', 'softmax'], t: [1, 0],
    loss: 'cross-entropy-of-probabilities'})),
};
const CHANGES = {
  mistake: value => { mistake = value; },
  loss: loss => become(reshaped({
    loss, activations: net.activations.with(-1, FITTING[loss] ?? net.activations.at(-1)),
    sizes: net.sizes.with(-1, Math.max(loss === 'cross-entropy' ? 2 : 1, net.sizes.at(-1))),
  })),
  biases: (_, biases) => become(reshaped({biases})),
  ...Object.fromEntries([0, 1, 2].map(k =>
    [`size${k}`, size => become(reshaped({sizes: net.sizes.with(k, Number(size))}))])),
  ...Object.fromEntries([0, 1].map(k =>
    [`activation${k + 1}`, name => become({...net, activations: net.activations.with(k, name)})])),
};
document.addEventListener('click', ({target}) => {
  CLICKS[target.id]?.();
  const step = target.closest('[data-step]');
  if (step) go(Number(step.dataset.step));
});
document.addEventListener('change', ({target}) => {
  CHANGES[target.id]?.(target.value, target.checked);
  render();
});
document.addEventListener('input', ({target: {id, dataset, value}}) => {
  if (value === '' || !Number.isFinite(Number(value))) return;
  if (dataset.name) become(at(net, dataset.name, Number(value)));
  if (id === 'lr' && Number(value) > 0) become({...net, lr: Number(value)}, losses);
});
document.addEventListener('keydown', event => {
  const id = {ArrowRight: 'next', ArrowLeft: 'back', ' ': 'play', Home: 'overview'}[event.key];
  const own = event.key === ' ' ? 'input, select, button' : 'input, select'; // keys of their own
  if (!id || event.target.closest(own)) return;
  event.preventDefault();
  CLICKS[id]();
});
$('drawing').addEventListener('pointerdown', ({target, pointerId, clientX, clientY}) => {
  const name = target.dataset.drag, svg = $('drawing'), start = name && at(net, name);
  if (!name) return;
  svg.setPointerCapture(pointerId);
  svg.onpointermove = event => {
    const moved = (event.clientX - clientX - event.clientY + clientY) / 100;
    become(at(net, name, Number((start + moved).toFixed(2))));
  };
  svg.onpointerup = svg.onpointercancel = () => { svg.onpointermove = null; };
});
addEventListener('resize', render);

const options = names => names.map(name => `<option>${name}</option>`).join('');
$('mistake').innerHTML += options(Object.keys(MISTAKES));
$('loss').innerHTML = options(Object.keys(LOSSES));
for (const k of [1, 2]) {
  $(`activation${k}`).innerHTML = options([...Object.keys(ACTIVATIONS), 'softmax']);
}
$('lr').value = net.lr;
render();
