'use strict';
// A network on one sample: forward, loss, backward for k = N..1, update, in the lecture's letters.
// It is what `--format json` calls "given": sizes, activations, loss, lr, x, t, w1 (a row for each
// input), b1 (may be left out), w2, ... tests/walk/test_page.py holds all this to manual/.

const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const zip = (a, b, f) => a.map((value, i) => f(value, b[i]));
const range = n => Array.from({length: n}, (_, i) => i);
const sigmoid = z => 1 / (1 + Math.exp(-z));

// f(z), and f' by z or by y = f(z)
const ACTIVATIONS = {
  identity: {f: z => z, slope: () => 1},
  sigmoid: {f: sigmoid, slope: (z, y) => y * (1 - y)},
  tanh: {f: Math.tanh, slope: (z, y) => 1 - y ** 2},
  relu: {f: z => Math.max(z, 0), slope: z => (z > 0 ? 1 : 0)},
  softplus: {f: z => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))), slope: sigmoid},
};

function softmax(z) {
  const top = Math.max(...z), e = z.map(each => Math.exp(each - top)), total = sum(e);
  return e.map(each => each / total);
}

const activate = (name, z) => (name === 'softmax' ? softmax(z) : z.map(ACTIVATIONS[name].f));

// Div and dDiv/dy, as manual/losses.py has them; `output` is the activation inside a loss of logits
const squares = (y, t) => sum(zip(y, t, (a, b) => (a - b) ** 2));
const residuals = (y, t, by) => zip(y, t, (a, b) => by * (a - b));
const logSum = z => Math.max(...z) + Math.log(sum(z.map(each => Math.exp(each - Math.max(...z)))));
const entropy = (log_y, log_not_y, t) => t * log_y + (1 - t) * log_not_y;
const TINY = 2.2250738585072014e-308, SMALLEST_SLOPE = 9.999999960041972e-13;
const LOSSES = {
  'half-squared': {div: (y, t) => squares(y, t) / 2, dy: (y, t) => residuals(y, t, 1)},
  squared: {div: squares, dy: (y, t) => residuals(y, t, 2)},
  mse: {div: (y, t) => squares(y, t) / y.length, dy: (y, t) => residuals(y, t, 2 / y.length)},
  'cross-entropy': {
    output: 'softmax',
    div: (y, t) => sum(t.map((t_i, i) => t_i * (logSum(y) - y[i]))),
    dy: (y, t) => residuals(softmax(y), t, 1),
  },
  'cross-entropy-of-probabilities': {
    div: (y, t) => -sum(zip(y, t, (a, b) => b * Math.log(Math.max(a, TINY)))),
    dy: (y, t) => zip(y, t, (a, b) => (a < TINY ? 0 : -b / a)),
  },
  'binary-cross-entropy': {
    div: (y, t) => -sum(zip(y, t, (a, b) =>
      entropy(Math.max(Math.log(a), -100), Math.max(Math.log1p(-a), -100), b))),
    dy: (y, t) => zip(y, t, (a, b) => (a - b) / Math.max(a * (1 - a), SMALLEST_SLOPE)),
  },
  'binary-cross-entropy-of-logits': {
    output: 'sigmoid',
    div: (y, t) => sum(zip(y, t, (a, b) => ACTIVATIONS.softplus.f(a) - b * a)),
    dy: (y, t) => residuals(y.map(sigmoid), t, 1),
  },
};

/** z^(k) and y^(k) for k = 1..N, y^(0) = x; Div, and the o inside a loss of logits. */
function forward(net) {
  const tape = {z: [null], y: [net.x]};
  net.activations.forEach((name, before) => {
    const w = net[`w${before + 1}`], b = net[`b${before + 1}`], y = tape.y[before];
    const z = w[0].map((_, j) => sum(zip(w, y, (row, y_i) => row[j] * y_i)) + (b ? b[j] : 0));
    tape.z.push(z);
    tape.y.push(activate(name, z));
  });
  const loss = LOSSES[net.loss], output = tape.y.at(-1);
  tape.div = loss.div(output, net.t);
  if (loss.output) tape.o = activate(loss.output, output);
  return tape;
}

// The equations of backward; a planted mistake is another one in the place of one of these.
const RULES = {
  loss: (net, y) => LOSSES[net.loss].dy(y, net.t),
  chain: (name, dy, z, y) => { // dDiv/dz_i = f'(z_i) dDiv/dy_i, or by softmax's Jacobian
    if (name !== 'softmax') return dy.map((each, i) => each * ACTIVATIONS[name].slope(z[i], y[i]));
    const mean = sum(zip(dy, y, (a, b) => a * b));
    return zip(dy, y, (dy_i, y_i) => (dy_i - mean) * y_i);
  },
  weight: (y, dz) => y.map(y_i => dz.map(dz_j => y_i * dz_j)), // dDiv/dw_ij = y_i dDiv/dz_j
  bias: dz => dz, // dDiv/db_j = dDiv/dz_j
  back: (w, dz) => w.map(row => sum(zip(row, dz, (w_ij, dz_j) => w_ij * dz_j))), // sum_j w_ij dz_j
};

/** dy and dz by k, dy[0] being dDiv/dx, and dw1, db1, ... */
function backward(net, tape, rules = RULES) {
  const found = {dy: [], dz: []};
  let dy = rules.loss(net, tape.y.at(-1));
  for (let k = net.activations.length; k > 0; k--) {
    const y = tape.y[k - 1], w = net[`w${k}`];
    const dz = rules.chain(net.activations[k - 1], dy, tape.z[k], tape.y[k]);
    const dw = rules.weight(y, dz, tape.y[k]);
    Object.assign(found, {[`dw${k}`]: dw, [`db${k}`]: rules.bias(dz)});
    found.dy[k] = dy;
    found.dz[k] = dz;
    dy = rules.back(w, dz, dw, net.lr);
  }
  found.dy[0] = dy;
  return found;
}

/** The network after w <- w - lr dDiv/dw, and b likewise. */
function update(net, found) {
  const step = (value, slope) => value - net.lr * slope, after = {...net};
  for (let k = 1; k <= net.activations.length; k++) {
    after[`w${k}`] = zip(net[`w${k}`], found[`dw${k}`], (row, slopes) => zip(row, slopes, step));
    if (net[`b${k}`]) after[`b${k}`] = zip(net[`b${k}`], found[`db${k}`], step);
  }
  return after;
}

/** Names of the parameters in the order of layers: w1[1,1], ..., b1[1], ..., w2[1,1], ... */
function parameters(net) {
  return range(net.activations.length).flatMap(before => {
    const w = `w${before + 1}`, b = `b${before + 1}`;
    return [...named(w, net[w]), ...(net[b] ? named(b, net[b]) : [])].map(([name]) => name);
  });
}

/** Pairs of name and number of a vector or matrix. */
function named(name, values) {
  return values.flatMap((row, i) => (Array.isArray(row)
    ? row.map((value, j) => [`${name}[${i + 1},${j + 1}]`, value])
    : [[`${name}[${i + 1}]`, row]]));
}

/** A number of the network by its name, such as w1[2,1]; or a copy of the network with another. */
function at(net, name, value) {
  const [, key, i, j] = name.match(/^([a-z]+\d*)\[(\d+)(?:,(\d+))?\]$/);
  if (value === undefined) return j ? net[key][i - 1][j - 1] : net[key][i - 1];
  const copy = structuredClone(net);
  if (j) copy[key][i - 1][j - 1] = value;
  else copy[key][i - 1] = value;
  return copy;
}

/** Every number by its name, as `--format json` has them. */
function values(net, rules = RULES) {
  const tape = forward(net), found = backward(net, tape, rules), after = update(net, found);
  const pairs = [['div', tape.div], ['old_div', tape.div], ['new_div', forward(after).div]];
  for (let k = 1; k <= net.activations.length; k++) {
    const arrays = {z: tape.z[k], y: tape.y[k], dy: found.dy[k], dz: found.dz[k],
      dw: found[`dw${k}`], new_w: after[`w${k}`]};
    if (net[`b${k}`]) Object.assign(arrays, {db: found[`db${k}`], new_b: after[`b${k}`]});
    for (const [letter, array] of Object.entries(arrays)) pairs.push(...named(letter + k, array));
  }
  if (tape.o) pairs.push(...named('o', tape.o));
  return Object.fromEntries(pairs);
}

/** dDiv by each parameter from Div alone: Richardson's extrapolation of central differences.
 * error: how far off it may be; NaN across a kink of ReLU, where there is no derivative. */
function differences(net) {
  const tape = forward(net), found = {};
  const side = moved => moved.z.slice(1).flat().map(z => z > 0).join();
  for (const name of parameters(net)) {
    const [, letter, k, i] = name.match(/^(.)(\d)\[(\d)/), value = at(net, name);
    const y = letter === 'w' ? Math.abs(tape.y[k - 1][i - 1]) : 1; // what a step is multiplied with
    const h = 7e-4 * Math.max(1, Math.abs(value)) / Math.max(1, y);
    const central = step => {
      const [above, below] = [step, -step].map(by => forward(at(net, name, value + by)));
      const kink = net.activations.includes('relu') && side(above) !== side(below);
      return kink ? NaN : (above.div - below.div) / (2 * step);
    };
    const near = central(h / 2), slope = (4 * near - central(h)) / 3;
    const rounding = 1e-9 * Math.max(1, tape.div) + 1e-6 * Math.abs(slope);
    found[name] = {slope, error: rounding + Math.abs(slope - near) / 10};
  }
  return found;
}

// What students plant, each in one line of backward: that line, and what stands there then.
const DZ = '\\frac{\\partial Div}{\\partial z_{j}}', DY = '\\frac{\\partial Div}{\\partial y_{j}}';
const DX = '\\frac{\\partial Div}{\\partial y_{i}}', DW = '\\frac{\\partial Div}{\\partial w_{ij}}';
const MISTAKES = {
  "f' forgotten": [`${DZ} = ${DY}`, {chain: (name, dy) => dy}],
  "f' of the wrong number, y for z": [`${DZ} = f'(y_{j})~${DY}`,
    {chain: (name, dy, z, y) => RULES.chain(name, dy, y, z)}],
  "f' twice": [`${DZ} = f'(z_{j})~f'(z_{j})~${DY}`,
    {chain: (name, dy, ...zy) => RULES.chain(name, RULES.chain(name, dy, ...zy), ...zy)}],
  'the diagonal alone of softmax': [`${DZ} = y_{j}~(1 - y_{j})~${DY}`,
    {chain: (name, ...given) => RULES.chain(name === 'softmax' ? 'sigmoid' : name, ...given)}],
  'a sign, t - y for y - t': [`${DY} = t_{j} - y_{j}`,
    {loss: (net, y) => RULES.loss(net, y).map(each => -each)}],
  'w transposed': [`${DX} = \\sum_{j} w_{ji}~${DZ}`, // if it isn't square: read in the other order
    {back: (w, dz) => RULES.back(w.map((row, i) => row.map((_, j) => w.flat()[j * w.length + i])),
      dz)}],
  'a mean for the sum': [`${DX} = \\frac{1}{J} \\sum_{j} w_{ij}~${DZ}`,
    {back: (w, dz) => RULES.back(w, dz).map(each => each / dz.length)}],
  'w updated too early': [`${DX} = \\sum_{j} (\\text{new }w_{ij})~${DZ}`,
    {back: (w, dz, dw, lr) => RULES.back(zip(w, dw, (row, slopes) =>
      zip(row, slopes, (w_ij, slope) => w_ij - lr * slope)), dz)}],
  'y of the wrong layer': [`${DW} = y_{j}^{(k)}~${DZ}`,
    {weight: (y, dz, own) => y.map(() => zip(own, dz, (y_j, dz_j) => y_j * dz_j))}],
  'dw twice as large': [`${DW} = 2~y_{i}~${DZ}`,
    {weight: (y, dz) => RULES.weight(y, dz.map(each => 2 * each))}],
};
