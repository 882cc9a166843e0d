// What is seen and done: the drawing, the steps, the table of numbers, and the controls.

const $ = id => document.getElementById(id);
const rules = () => ({...RULES, ...MISTAKES[$('mistake').value]?.[1]});
let net = DATA.given, cursor = -1, losses = [], playing;
const become = (another, kept = []) => { [net, losses] = [another, kept]; render(); };

/** A number for the drawing and the table. */
function short(value, digits = 6) {
  if (!Number.isFinite(value)) return '–';
  const near = +(+value.toFixed(digits)).toPrecision(digits + 1);
  const fits = near ? Math.abs(near) < 10 ** (digits + 1) : value === 0;
  return (fits ? String(near) : value.toExponential(1)).replaceAll('-', '−');
}

/** All numbers anew from `net`, and all that shows them. */
function render() {
  const found = values(net, rules()), right = values(net), slopes = differences(net);
  const steps = stepsOf(net, found), all = {...byName(net), ...found};
  for (const name in slopes) all[`slope ${name}`] = slopes[name].slope;
  cursor = Math.max(-1, Math.min(cursor, steps.length - 1));
  const off = name => { // by finite differences, or where there are none by the right backward
    const {slope, error} = slopes[name.slice(1)] ?? {slope: right[name], error: 1e-12};
    return name[0] === 'd' && Math.abs(all[name] - slope) > error;
  };
  const say = (name, digits, before = '') => { // its text and class, once it is known
    const later = cursor >= 0 && steps.findIndex(step => step.name === name) > cursor;
    if (later || !(name in all)) return ['', ''];
    const wrong = off(name) ? 'wrong' : '';
    return [(wrong && '✗ ') + before + short(all[name], digits), wrong];
  };
  tabulate(all, say);
  draw(all, say, steps[cursor]);
  explain(steps, off);
  judge(all, Object.keys(slopes).map(name => off(`d${name}`)));
}

/** The table, made anew where the network has another form; what stands in it and in controls. */
function tabulate(all, say) {
  const names = Object.keys(byName({x: net.x, ...learned(net), t: net.t}));
  const table = $('parameters'), form = names.join();
  if (table.dataset.form !== form) {
    table.dataset.form = form;
    table.innerHTML = names.map(name => `<tr><th scope="row">${mathml(symbol(name))}</th>
      <td><input type="number" step="0.1" data-name="${name}" aria-label="${name}"></td>
      <td data-name="d${name}"></td><td data-name="slope ${name}"></td></tr>`).join('');
  }
  for (const cell of document.querySelectorAll('[data-name]')) {
    const value = all[cell.dataset.name];
    if (cell.tagName === 'TD') [cell.textContent, cell.className] = say(cell.dataset.name);
    else if (cell !== document.activeElement) cell.value = Number(value.toPrecision?.(6)) || value;
  }
  $('biases').checked = 'b1' in net;
  $('play').textContent = playing ? 'Pause' : 'Play';
}

/** The network; what the formula of a step names is lit. */
function draw(all, say, step) {
  const svg = $('drawing'), W = svg.clientWidth, H = svg.clientHeight, narrow = W < 560;
  const N = net.activations.length, most = Math.max(...net.sizes);
  const line = narrow ? 10 : 13, high = H - 3 * line, digits = narrow || most > 3 ? 3 : 4;
  const r = Math.min(0.325 * (digits + 5) * line, high / most / 2 - 1.8 * line); // as z -0.0898
  const gap = (W - 2 * r - 6 * line) / N;
  const x = k => r + 4 + k * gap, y = (k, i) => 2 * line + high * (i - 0.5) / net.sizes[k];
  const edges = [], labels = [], named = step ? step.left + step.formula : '';
  const lit = name => name in all && named.includes(symbol(name));
  const label = (px, py, kind, name, before) => {
    const [text, wrong] = say(name, digits, before);
    const of = `class="${kind} ${wrong}" data-of="${name}"`;
    if (text) labels.push(`<text x="${px}" y="${py}" ${of}>${text}</text>`);
  };
  const pair = (px, py, name, before) => { // a number and its gradient
    const [right, down] = narrow ? [0, 0.55 * line] : [3, 0];
    label(px - right, py - down, narrow ? 'given' : 'given before', name, before);
    label(px + right, py + down, narrow ? 'gradient' : 'gradient behind', `d${name}`);
  };
  net.sizes.forEach((size, k) => units(size).forEach(j => {
    const at = `${k}[${j}]`, px = x(k), py = y(k, j);
    for (const i of k ? units(net.sizes[k - 1]) : []) {
      const part = 1 / (net.sizes[k - 1] + 1); // of an edge: there all labels are evenly spaced
      const name = `w${k}[${i},${j}]`, w = all[name], left = x(k - 1), top = y(k - 1, i);
      const right = left + Math.max(part * gap, r + 4.3 * line), down = top + part * (py - top);
      const points = `points="${left},${top} ${right},${down} ${px},${py}"`;
      const kind = w < 0 ? 'minus' : 'plus', width = 1 + 3 * Math.min(1, Math.abs(w));
      edges.push(`<polyline ${points} class="${kind}" stroke-width="${width}"/>`);
      if (lit(name)) edges.unshift(`<polyline ${points} class="glow"/>`);
      pair(right, down, name);
    }
    const glow = k ? lit(`z${at}`) || lit(`y${at}`) || lit(`b${at}`) : lit(`x[${j}]`);
    labels.push(`<circle cx="${px}" cy="${py}" r="${r}" class="${glow ? 'lit' : ''}"/>`);
    if (k === 0) return label(px, py, 'given inside', `x[${j}]`);
    label(px, py - 0.6 * line, 'inside', `z${at}`, 'z ');
    label(px, py + 0.6 * line, 'inside', `y${at}`, 'y ');
    label(px, py + r + 0.7 * line, 'gradient', `dy${at}`, 'dy ');
    label(px, py + r + 1.75 * line, 'gradient', `dz${at}`, 'dz ');
    pair(px - (narrow ? 0 : 28), py - r - (narrow ? 1.2 : 0.7) * line, `b${at}`, 'b ');
    if (k === N) label(px + r + 5, py, 'given behind', `t[${j}]`, 't = ');
  }));
  ['input', ...net.activations].forEach((head, k) =>
    labels.push(`<text x="${x(k)}" y="${line}" class="head">${head}</text>`));
  label(W - 8, H - line, 'head before', 'div', 'Div = ');
  svg.setAttribute('viewBox', `0 0 ${W} ${H}`);
  svg.style.fontSize = `${line}px`;
  svg.innerHTML = edges.join('') + labels.join('');
}

/** The step at the cursor, and all of them; with remarks while the numbers are the first ones. */
function explain(steps, off) {
  const step = steps[cursor], opens = i => steps[i].part !== steps[i - 1]?.part;
  const about = name => (net === DATA.given ? DATA.about[name] ?? '' : '');
  const line = ({name, left, formula, numbers, value}) => {
    const sides = [...new Set([left, formula, numbers, number(value)])].filter(Boolean).join(' = ');
    return `<span class="${off(name) ? 'wrong' : ''}">${mathml(sides)}</span>${about(name)}`;
  };
  $('where').textContent = step ? `${cursor + 1} of ${steps.length}: ${step.part}` : 'All at once';
  $('formula').innerHTML = step ? line(step) + (opens(cursor) ? about(step.part) : '') : '';
  $('hint').hidden = cursor >= 0;
  $('parts').innerHTML = steps.map(({part}, i) => opens(i) ? `<button data-step="${i}"
    ${part === step?.part ? 'aria-current="step"' : ''}>${part.split(' (')[0]}</button>` : '')
    .join('');
  $('all').innerHTML = steps.map((each, i) =>
    `${opens(i) ? `<h3>${each.part}</h3><div>${about(each.part)}</div>` : ''}
    <p data-step="${i}">${line(each)}</p>`).join('');
}

/** What is to be said of the gradients and of Div, and its curve. */
function judge({div, new_div}, off) {
  const wrong = off.filter(Boolean).length, mistake = MISTAKES[$('mistake').value];
  $('verdict').innerHTML = (mistake ? `The line is now ${mathml(mistake[0])}. ` : '')
    + (wrong ? `${wrong} of ${off.length} gradients are wrong.` : 'Every gradient is right.');
  $('expose').hidden = !mistake || wrong > 0;
  const loose = net.loss === 'cross-entropy' && Math.abs(sum(net.t) - 1) > 1e-9;
  $('warning').textContent = Number.isFinite(div)
    ? (loose ? 'o − t is the derivative only where the targets sum to 1.' : '')
    : `${net.loss} has no value for this output; choose another last activation.`;
  const fallen = losses.length ? [...losses, div] : [div, new_div], last = fallen.length - 1;
  const top = Math.max(...fallen.filter(Number.isFinite));
  $('line').setAttribute('points', fallen.map((at, i) => [300 * i / last, 70 - 70 * at / top])
    .join(' '));
  const [first, now] = [fallen[0], fallen[last]].map(at => short(at, 4));
  $('fallen').textContent = losses.length
    ? `Div from ${first} to ${now} by ${last} updates` : `Div ${first}; an update makes it ${now}`;
}

/** As large as its sizes say: numbers that are there stay, others are tenths from -0.9 to 0.9. */
function fitted({sizes, activations, loss, lr, x, t, ...arrays}, biases = $('biases').checked) {
  const tenth = () => (Math.random() < 0.5 ? -1 : 1) * Math.ceil(9 * Math.random()) / 10;
  const fit = (old, n, other = tenth) => range(n).map(i => old?.[i] ?? other());
  const another = {sizes, activations, loss, lr, x: fit(x, sizes[0])};
  for (const k of layers(another)) {
    another[`w${k}`] = fit(arrays[`w${k}`], sizes[k - 1], () => []).map(row => fit(row, sizes[k]));
    if (biases) another[`b${k}`] = fit(arrays[`b${k}`], sizes[k]);
  }
  return {...another, t: fit(t, sizes.at(-1), () => 0)};
}

function learn(times) {
  for (let i = 0; i < times; i++) {
    const tape = forward(net);
    losses.push(tape.div);
    net = update(net, backward(net, tape, rules()));
  }
}

const CLICKS = {
  overview: () => { cursor = -1; }, back: () => { cursor -= 1; }, next: () => { cursor += 1; },
  play: () => {
    playing = playing ? clearInterval(playing) : setInterval(() => $('next').click(), 1500);
  },
  once: () => learn(1), often: () => learn(100), again: () => become(DATA.given),
  expose: () => become(fitted({...net, sizes: [2, 3, 2], activations: ['tanh', 'softmax'],
    loss: 'cross-entropy-of-probabilities', t: [1, 0]})),
};
document.addEventListener('click', ({target}) => {
  const {step} = target.closest('[data-step]')?.dataset ?? {};
  if (step) cursor = Number(step);
  else if (CLICKS[target.id]) CLICKS[target.id]();
  else return;
  render();
});

/** A number typed or a control changed; with another learning rate the curve goes on. */
function control({target: {id, dataset: {name}, value, validity}}) {
  if (id === 'mistake') return render();
  if (value === '' || validity.rangeUnderflow) return;
  const another = name ? changed(net, name, isNaN(value) ? value : Number(value)) : net;
  const {last = another.activations[1], least = 1} = name === 'loss' ? LOSSES[value] : {};
  const activations = another.activations.with(1, last);
  const sizes = another.sizes.with(2, Math.max(least, another.sizes[2]));
  become(fitted({...another, activations, sizes}), name === 'lr' ? losses : []);
}
for (const kind of ['input', 'change']) document.addEventListener(kind, control);

document.addEventListener('keydown', event => {
  const id = {ArrowRight: 'next', ArrowLeft: 'back', ' ': 'play', Home: 'overview'}[event.key];
  const own = event.key === ' ' ? 'input, select, button' : 'input, select'; // keys of their own
  if (!id || event.target.closest(own)) return;
  event.preventDefault();
  $(id).click();
});

$('drawing').addEventListener('pointerdown', ({target, pointerId, clientX, clientY}) => {
  if (!target.matches('.given')) return;
  const svg = $('drawing'), name = target.dataset.of, start = byName(net)[name];
  svg.setPointerCapture(pointerId);
  svg.onpointermove = event => {
    const moved = (event.clientX - clientX - event.clientY + clientY) / 100;
    become(changed(net, name, Number((start + moved).toFixed(2))));
  };
  svg.onpointerup = svg.onpointercancel = () => { svg.onpointermove = null; };
});
addEventListener('resize', render);

const NAMES = {mistake: MISTAKES, loss: LOSSES, activation1: ACTIVATIONS, activation2: ACTIVATIONS};
for (const [id, table] of Object.entries(NAMES)) {
  $(id).append(...Object.keys(table).map(name => new Option(name)));
}
render();
