'use strict';
// A network on one sample: forward, loss, backward for k = N..1, update, in the lecture's letters.
// It is what `--format json` calls "given": sizes, activations, loss, lr, x, t, w1 (a row for each
// input), b1 (may be left out), w2, ... tests/walk/test_page.py holds all this to manual/.

const sum = numbers => numbers.reduce((total, number) => total + number, 0);
const zip = (a, b, f) => a.map((each, i) => (each.map ? zip(each, b[i], f) : f(each, b[i])));
const range = n => Array.from({length: n}, (_, i) => i);
const units = n => range(n).map(i => i + 1); // as the lecture counts them
const layers = net => units(net.activations.length);
const remade = (object, f) => Object.fromEntries(Object.entries(object).map(f)); // pair by pair

// f(z), and dDiv/dz from dDiv/dy: by f' of z or of y = f(z), or by softmax's Jacobian
const elementwise = (f, slope) => ({
  f: z => z.map(z_i => f(z_i)),
  back: (dy, z, y) => dy.map((dy_i, i) => slope(z[i], y[i]) * dy_i), // f'(z_i) dDiv/dy_i
});
const sigmoid = z => 1 / (1 + Math.exp(-z));
const softplus = z => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
const ACTIVATIONS = {
  identity: elementwise(z => z, () => 1),
  sigmoid: elementwise(sigmoid, (z, y) => y * (1 - y)),
  tanh: elementwise(Math.tanh, (z, y) => 1 - y ** 2),
  relu: elementwise(z => Math.max(z, 0), z => (z > 0 ? 1 : 0)),
  softplus: elementwise(softplus, sigmoid),
  softmax: {
    f: z => powers(z).map((power, i, all) => power / sum(all)),
    back: (dy, z, y) => dy.map((dy_i, i) => (dy_i - sum(zip(dy, y, (a, b) => a * b))) * y[i]),
  },
};

const powers = z => z.map(z_i => Math.exp(z_i - Math.max(...z))); // e^(z_i), none too large
const logSum = z => Math.max(...z) + Math.log(sum(powers(z))); // log(sum_i e^(z_i))

// What output y_i adds to Div, and dDiv/dy_i, with the floors of manual/losses.py; `all` is y.
// output: the activation inside a loss of logits, which makes o of y.  last: what gives such a y,
// where not everything does.  least: of outputs, where one can't learn.
const TINY = 2.2250738585072014e-308, SMALLEST_SLOPE = 9.999999960041972e-13;
const LOSSES = {
  'half-squared': {div: (y, t) => (y - t) ** 2 / 2, slope: (y, t) => y - t},
  squared: {div: (y, t) => (y - t) ** 2, slope: (y, t) => 2 * (y - t)},
  mse: {div: (y, t, o, all) => (y - t) ** 2 / all.length,
    slope: (y, t, o, all) => 2 * (y - t) / all.length},
  'cross-entropy': {output: 'softmax', last: 'identity', least: 2,
    div: (y, t, o, all) => t * (logSum(all) - y), slope: (y, t, o) => o - t},
  'cross-entropy-of-probabilities': {last: 'softmax',
    div: (y, t) => -t * Math.log(Math.max(y, TINY)), slope: (y, t) => (y < TINY ? 0 : -t / y)},
  'binary-cross-entropy': {last: 'sigmoid',
    div: (y, t) => -t * Math.max(Math.log(y), -100) - (1 - t) * Math.max(Math.log1p(-y), -100),
    slope: (y, t) => (y - t) / Math.max(y * (1 - y), SMALLEST_SLOPE)},
  'binary-cross-entropy-of-logits': {output: 'sigmoid', last: 'identity',
    div: (y, t) => softplus(y) - t * y, slope: (y, t, o) => o - t},
};
const ofOutputs = (f, net, y, o) => y.map((y_i, i) => f(y_i, net.t[i], o?.[i], y));

/** z1, y1, z2, ... of the layers k = 1..N, Div, and the o inside a loss of logits. */
function forward(net) {
  const tape = {}, {div, output} = LOSSES[net.loss];
  let y = net.x;
  for (const k of layers(net)) {
    const w = net[`w${k}`], b = net[`b${k}`], before = y;
    const z = w[0].map((_, j) => sum(before.map((y_i, i) => w[i][j] * y_i)) + (b ? b[j] : 0));
    y = ACTIVATIONS[net.activations[k - 1]].f(z);
    Object.assign(tape, {[`z${k}`]: z, [`y${k}`]: y});
  }
  if (output) tape.o = ACTIVATIONS[output].f(y);
  return {...tape, div: sum(ofOutputs(div, net, y, tape.o))};
}

// The equations of backward; a planted mistake is another one in the place of one of these.
const RULES = {
  loss: (net, y, o) => ofOutputs(LOSSES[net.loss].slope, net, y, o), // dDiv/dy_i
  chain: (name, dy, z, y) => ACTIVATIONS[name].back(dy, z, y), // dDiv/dz_i
  weight: (y, dz) => y.map(y_i => dz.map(dz_j => y_i * dz_j)), // dDiv/dw_ij = y_i dDiv/dz_j
  bias: dz => dz, // dDiv/db_j = dDiv/dz_j
  back: (w, dz) => w.map(row => sum(zip(row, dz, (w_ij, dz_j) => w_ij * dz_j))), // sum_j w_ij dz_j
};

/** dy2, dz2, dw2, db2, dy1, ... */
function backward(net, tape, rules = RULES) {
  const found = {}, N = net.activations.length;
  let dy = rules.loss(net, tape[`y${N}`], tape.o);
  for (let k = N; k > 0; k--) {
    const before = tape[`y${k - 1}`] ?? net.x, y = tape[`y${k}`];
    const dz = rules.chain(net.activations[k - 1], dy, tape[`z${k}`], y);
    const dw = rules.weight(before, dz, y);
    Object.assign(found, {[`dy${k}`]: dy, [`dz${k}`]: dz, [`dw${k}`]: dw});
    if (net[`b${k}`]) found[`db${k}`] = rules.bias(dz);
    if (k > 1) dy = rules.back(net[`w${k}`], dz, dw, net.lr);
  }
  return found;
}

/** What is learned: w1, b1, w2, ... */
const learned = net => Object.fromEntries(layers(net).flatMap(k => [`w${k}`, `b${k}`])
  .filter(name => name in net).map(name => [name, net[name]]));

/** The network after w <- w - lr dDiv/dw, and b likewise. */
function update(net, found) {
  const step = (value, slope) => value - net.lr * slope;
  return {...net, ...remade(learned(net), ([name, w]) => [name, zip(w, found[`d${name}`], step)])};
}

/** All that these arrays hold by names such as w1[2,1]. */
function byName(arrays) {
  const pairs = ([name, value], index = []) => (Array.isArray(value)
    ? value.flatMap((each, i) => pairs([name, each], [...index, i + 1]))
    : [[name + (index.length ? `[${index}]` : ''), value]]);
  return Object.fromEntries(Object.entries(arrays).flatMap(pair => pairs(pair)));
}

/** A copy of the network with another value of this name. */
function changed(net, name, value) {
  const copy = structuredClone(net), [array, ...index] = name.match(/\w+/g);
  const path = [array, ...index.map(i => i - 1)], last = path.pop();
  path.reduce((inside, key) => inside[key], copy)[last] = value;
  return copy;
}

/** Every number that is computed, by its name, as `--format json` has them. */
function values(net, rules = RULES) {
  const tape = forward(net), found = backward(net, tape, rules), after = update(net, found);
  const fresh = remade(learned(after), ([name, w]) => [`new_${name}`, w]);
  return byName({...tape, ...found, ...fresh, old_div: tape.div, new_div: forward(after).div});
}

/** dDiv by each parameter from Div alone: Richardson's extrapolation of central differences.
 * error: how far off it may be; NaN across a kink of ReLU, where there is no derivative. */
function differences(net) {
  const tape = forward(net);
  const largest = Math.max(1, ...Object.values(byName({...tape, x: net.x})).map(Math.abs));
  const sides = moved => layers(net).flatMap(k => moved[`z${k}`]).map(z => z > 0).join();
  return remade(byName(learned(net)), ([name, value]) => {
    const central = step => {
      const [above, below] = [step, -step].map(by => forward(changed(net, name, value + by)));
      const kink = net.activations.includes('relu') && sides(above) !== sides(below);
      return kink ? NaN : (above.div - below.div) / (2 * step);
    };
    const h = 7e-4 * Math.max(1, Math.abs(value)) / largest;
    const near = central(h / 2), slope = (4 * near - central(h)) / 3;
    const rounding = 1e-9 * Math.max(1, tape.div) + 1e-6 * Math.abs(slope);
    return [name, {slope, error: rounding + Math.abs(slope - near) / 10}];
  });
}

// What students plant, each in one line of backward: that line, and what stands there then.
const gradient = of => `\\frac{\\partial Div}{\\partial ${of}}`;
const [DZ, DY, DX, DW] = ['z_{j}', 'y_{j}', 'y_{i}', 'w_{ij}'].map(gradient);
const MISTAKES = {
  "f' forgotten": [`${DZ} = ${DY}`, {chain: (name, dy) => dy}],
  "f' of the wrong number, y for z": [`${DZ} = f'(y_{j})~${DY}`,
    {chain: (name, dy, z, y) => RULES.chain(name, dy, y, z)}],
  "f' twice": [`${DZ} = f'(z_{j})~f'(z_{j})~${DY}`,
    {chain: (name, dy, ...zy) => RULES.chain(name, RULES.chain(name, dy, ...zy), ...zy)}],
  'the diagonal alone of softmax': [`${DZ} = y_{j}~(1 - y_{j})~${DY}`,
    {chain: (name, ...given) => RULES.chain(name === 'softmax' ? 'sigmoid' : name, ...given)}],
  'a sign, t - y for y - t': [`${DY} = t_{j} - y_{j}`,
    {loss: (...given) => RULES.loss(...given).map(each => -each)}],
  'w transposed': [`${DX} = \\sum_{j} w_{ji}~${DZ}`, // if it isn't square: read in the other order
    {back: (w, dz) => RULES.back(w.map((row, i) => row.map((_, j) => w.flat()[j * w.length + i])),
      dz)}],
  'a mean for the sum': [`${DX} = \\frac{1}{J} \\sum_{j} w_{ij}~${DZ}`,
    {back: (w, dz) => RULES.back(w, dz).map(each => each / dz.length)}],
  'w updated too early': [`${DX} = \\sum_{j} (\\text{new }w_{ij})~${DZ}`,
    {back: (w, dz, dw, lr) => RULES.back(zip(w, dw, (w_ij, slope) => w_ij - lr * slope), dz)}],
  'y of the wrong layer': [`${DW} = y_{j}^{(k)}~${DZ}`,
    {weight: (y, dz, own) => y.map(() => zip(own, dz, (y_j, dz_j) => y_j * dz_j))}],
  'dw twice as large': [`${DW} = 2~y_{i}~${DZ}`,
    {weight: (y, dz) => RULES.weight(y, dz.map(each => 2 * each))}],
};
