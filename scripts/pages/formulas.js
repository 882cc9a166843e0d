'use strict';
// The steps with their formulas, in the order of scripts/walk/derivation.py and the LaTeX of
// scripts/walk/notation.py, whose templates come with the page; and that LaTeX as MathML.

const symbol = (letter, k, ...index) =>
  (letter === 'y' && k === 0 ? `x_{${index.join('')}}` : `${letter}_{${index.join('')}}^{(${k})}`);
const gradient = of => `\\frac{\\partial Div}{\\partial ${of}}`;
const factor = value => (value < 0 ? `(${number(value)})` : number(value));
const product = (a, b) => `${number(a)} \\cdot ${factor(b)}`;
const dotted = formula => formula.replaceAll('~', ' \\cdot ');
const total = terms => terms.join(' + ').replaceAll('+ -', '- ');

/** Six significant digits. */
function number(value) {
  if (!Number.isFinite(value)) return '\\text{no value}';
  const [mantissa, exponent] = value.toExponential(5).split('e'), e = Number(exponent);
  if (value && (e < -4 || e >= 6)) return `${Number(mantissa)} \\cdot 10^{${e}}`;
  return String(Number(value.toPrecision(6)));
}

/** The template with a value for each <name>; a negative one at its head needs no parentheses. */
function fill(template, put) {
  const filled = template.replace(/<(\w)>/g, (_, name) => put[name]);
  return filled.replace(/(^|[([])\((-[^()]*)\)(?!\^)/g, '$1$2');
}

function activation(name, j, z) {
  if (name !== 'softmax') return fill(DATA.activations[name][0], {z: z[j]});
  return `\\frac{e^{${z[j]}}}{${z.map(each => `e^{${each}}`).join(' + ')}}`;
}

function chain(name, j, z, y, dy) {
  if (name !== 'softmax') return `${fill(DATA.activations[name][1], {z: z[j], y: y[j]})}~${dy[j]}`;
  return total(y.map((each, i) =>
    (i === j ? `${y[j]}~(1 - ${y[j]})~${dy[j]}` : `-${each}~${y[j]}~${dy[i]}`)));
}

/** Div, or with i dDiv/dy_i, of symbols or numbers. */
function lossFormula(name, y, t, o, i) {
  const formula = DATA.losses[name], C = y.length;
  if (i !== undefined) return fill(formula.slope, {y: y[i], t: t[i], o: o[i], C});
  const terms = total(y.map((each, j) => fill(formula.term, {y: each, t: t[j], o: o[j]})));
  const before = fill(formula.factor, {C});
  return before && (C > 1 || terms.includes(' + ')) ? `${before}(${terms})` : before + terms;
}

/** The left side of a step by its name: z1[2], dw1[2,1], o[1], new_w1[2,1], div, old_div, ... */
function leftOf(name) {
  const [, fresh, d, letter, k, index] = name.match(/^(new_|old_)?(d?)([a-z]+)(\d?)(?:\[(.*)\])?$/);
  const moment = {new_: '\\text{ after}', old_: '\\text{ before}'}[fresh] ?? '';
  if (letter === 'iv') return `Div${moment}`;
  const of = k ? symbol(letter, k, index.replace(',', '')) : `${letter}_{${index}}`;
  return d ? gradient(of) : (fresh ? '\\text{new }' : '') + of;
}

/** Every step in order: its part, name, left side, formula, the numbers put in, and the value. */
function stepsOf(net, all) {
  const found = [], N = net.activations.length, units = k => range(net.sizes[k]).map(i => i + 1);
  const symbols = (letter, k) => units(k).map(i => symbol(letter, k, i));
  const numbers = (letter, k) => units(k).map(i => all[`${letter}${k}[${i}]`]);
  const factors = (letter, k) => numbers(letter, k).map(factor);
  let part = '';
  const add = (name, formula = '', put = '') =>
    found.push({part, name, left: leftOf(name), formula, numbers: put, value: all[name]});

  for (let k = 1; k <= N; k++) {
    const name = net.activations[k - 1], w = net[`w${k}`], b = net[`b${k}`];
    const y = k > 1 ? numbers('y', k - 1) : net.x;
    part = `Forward, layer ${k} (${name})`;
    for (const j of units(k)) {
      const terms = units(k - 1).map(i => `${symbol('w', k, i, j)}~${symbol('y', k - 1, i)}`);
      const put = y.map((y_i, i) => product(w[i][j - 1], y_i));
      if (b) [terms, put].forEach((sum, i) => sum.push([symbol('b', k, j), number(b[j - 1])][i]));
      add(`z${k}[${j}]`, total(terms), total(put));
    }
    units(k).forEach((j, i) => add(`y${k}[${j}]`,
      activation(name, i, symbols('z', k)), activation(name, i, factors('z', k))));
  }

  part = `Loss (${net.loss})`;
  const {output} = LOSSES[net.loss], y = symbols('y', N), t = units(N).map(i => `t_{${i}}`);
  const o = output ? units(N).map(i => `o_{${i}}`) : y, put = [factors('y', N), net.t.map(factor)];
  put.push(output ? activate(output, numbers('y', N)).map(factor) : put[0]);
  (output ? o : []).forEach((_, i) => add(`o[${i + 1}]`,
    activation(output, i, y), activation(output, i, put[0])));
  add('div', lossFormula(net.loss, y, t, o), dotted(lossFormula(net.loss, ...put)));
  units(N).forEach((j, i) => add(`dy${N}[${j}]`, lossFormula(net.loss, y, t, o, i),
    dotted(lossFormula(net.loss, ...put, i))));

  for (let k = N; k > 0; k--) {
    const name = net.activations[k - 1], w = net[`w${k}`], slopes = symbols('z', k).map(gradient);
    const dz = numbers('dz', k), y = k > 1 ? numbers('y', k - 1) : net.x;
    part = `Backward, k = ${k} (${name})`;
    units(k).forEach((j, i) => add(`dz${k}[${j}]`,
      chain(name, i, symbols('z', k), symbols('y', k), symbols('y', k).map(gradient)),
      dotted(chain(name, i, factors('z', k), factors('y', k), factors('dy', k)))));
    for (const i of k > 1 ? units(k - 1) : []) {
      add(`dy${k - 1}[${i}]`,
        total(slopes.map((slope, j) => `${symbol('w', k, i, j + 1)}~${slope}`)),
        total(dz.map((dz_j, j) => product(w[i - 1][j], dz_j))));
    }
    for (const i of units(k - 1)) {
      dz.forEach((dz_j, j) => add(`dw${k}[${i},${j + 1}]`, `${symbol('y', k - 1, i)}~${slopes[j]}`,
        product(y[i - 1], dz_j)));
    }
    if (net[`b${k}`]) slopes.forEach((slope, j) => add(`db${k}[${j + 1}]`, slope));
  }

  if (!DATA.updates) return found;
  part = 'Update';
  add('old_div');
  for (const name of parameters(net)) {
    const w = leftOf(name), change = `${number(net.lr)} \\cdot ${factor(all[`d${name}`])}`;
    add(`new_${name}`, `${w} - \\eta~${gradient(w)}`, `${number(at(net, name))} - ${change}`);
  }
  add('new_div');
  return found;
}

/** A formula as MathML, in pieces between which a line may end: before a plus, minus or equals. */
function mathml(latex) {
  let depth = 0;
  const pieces = latex.replace(/[{([\])}]| [+=-] /g, each => {
    if (each.length === 1) depth += '{(['.includes(each) ? 1 : -1;
    return each.length === 1 || depth ? each : `\n${each}`;
  });
  const whole = piece => `<math>${grouped(piece.replace(ATOM, atom))}</math>`;
  return pieces.split('\n').map(whole).join(' ');
}

const SIGNS = {partial: '∂', eta: 'η', sum: '∑', cdot: '·'};
const ATOM = /\\frac|\\text\{([^}]*)\}|\\([a-z]+)|[A-Za-z]+'?|[\d.]+|~|([+=-])( ?)|[()[\]>]/g;

function atom(whole, text, word, sign, space) {
  if (whole === '\\frac') return whole;
  if (text) return `<mtext>${text.replaceAll(' ', '\u00a0')}</mtext>`;
  if (word && /sum|cdot/.test(word)) return `<mo>${SIGNS[word]}</mo>`;
  if (word) return `<mi mathvariant="normal">${SIGNS[word] ?? word}</mi>`;
  if (/[A-Za-z]/.test(whole)) return `<mi>${whole.replace("'", '′')}</mi>`;
  if (sign) return `<mo form="${space ? 'infix' : 'prefix'}">${sign.replace('-', '−')}</mo>`;
  if (whole === '~') return '<mspace width="0.2em"/>';
  return /\d/.test(whole) ? `<mn>${whole}</mn>` : `<mo>${whole.replace('>', '&gt;')}</mo>`;
}

/** Fractions and indices from the innermost outwards. */
function grouped(math) {
  const group = '\\{([^{}]*)\\}', base = '(<m[ino][^<]*</m[ino]>)', row = n => `<mrow>$${n}</mrow>`;
  const rules = [[`${base}_${group}\\^${group}`, `<msubsup>$1${row(2)}${row(3)}</msubsup>`],
    [`${base}_${group}'`, `<msubsup>$1${row(2)}<mo>′</mo></msubsup>`],
    [`${base}_${group}(?!\\^)`, `<msub>$1${row(2)}</msub>`],
    [`${base}\\^${group}`, `<msup>$1${row(2)}</msup>`],
    [`\\\\frac${group}${group}`, `<mfrac>${row(1)}${row(2)}</mfrac>`]];
  let before;
  do {
    before = math;
    for (const [pattern, put] of rules) math = math.replace(new RegExp(pattern, 'g'), put);
  } while (math !== before);
  return math;
}
