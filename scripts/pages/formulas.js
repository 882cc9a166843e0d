// The steps with their formulas, in the order of scripts/walk/derivation.py and the LaTeX of
// scripts/walk/notation.py, whose templates come with the page; and that LaTeX as MathML.

const WORDS = {
  lr: '\\eta', div: 'Div', old_div: 'Div\\text{ before}', new_div: 'Div\\text{ after}',
};

/** The symbol of a number by its name: z1[2], dw1[2,1], o[1], new_w1[2,1], div, ... */
function symbol(name) {
  if (WORDS[name]) return WORDS[name];
  const [, kind, letter, k, index] = name.match(/^(new_|d)?(.)(\d?)\[(.*)\]$/);
  const of = `${letter}_{${index.replace(',', '')}}${k && `^{(${k})}`}`;
  return {new_: `\\text{new }${of}`, d: gradient(of)}[kind] ?? of;
}

/** Six significant digits. */
function number(value) {
  if (!Number.isFinite(value)) return '\\text{no value}';
  const [mantissa, exponent] = value.toExponential(5).split('e'), e = Number(exponent);
  if (value && (e < -4 || e >= 6)) return `${Number(mantissa)} \\cdot 10^{${e}}`;
  return String(Number(value.toPrecision(6)));
}

const fill = (template, put) => template.replace(/<(\w)>/g, (_, letter) => put[letter]);
const total = terms => terms.join(' + ');
const joined = formula => formula.replaceAll('+ -', '- ');
// Of numbers: with dots for products, without parentheses where a negative one heads a term.
const dotted = formula => joined(formula.replaceAll('~', ' \\cdot ')
  .replace(/(^|[([{]|\+ )\((-[^()]*)\)(?!\^)/g, '$1$2'));

const activation = (name, j, z) => (name === 'softmax'
  ? `\\frac{e^{${z[j]}}}{${total(z.map(z_i => `e^{${z_i}}`))}}`
  : fill(DATA.activations[name][0], {z: z[j]}));

const chain = (name, j, z, y, dy) => (name === 'softmax'
  ? total(y.map((y_i, i) => (i === j ? `${y_i}~(1 - ${y_i})` : `-${y_i}~${y[j]}`) + `~${dy[i]}`))
  : `${fill(DATA.activations[name][1], {z: z[j], y: y[j]})}~${dy[j]}`);

/** Part, name and formula of every step in order; `say` makes a symbol or a number of a name. */
function formulas(net, say) {
  const N = net.activations.length, f = k => net.activations[k - 1];
  const part = (title, ...steps) =>
    steps.flat().map(([name, formula = '']) => ({part: title, name, formula}));
  const each = (k, step) => units(net.sizes[k]).map(step);
  const of = (letter, k, ...index) =>
    say(letter === 'y' && k === 0 ? `x[${index}]` : `${letter}${k}[${index}]`);
  const every = (letter, k) => each(k, i => of(letter, k, i));

  const forward = k => part(`Forward, layer ${k} (${f(k)})`,
    each(k, j => [`z${k}[${j}]`, total([
      ...each(k - 1, i => `${of('w', k, i, j)}~${of('y', k - 1, i)}`),
      ...(net[`b${k}`] ? [of('b', k, j)] : []),
    ])]),
    each(k, j => [`y${k}[${j}]`, activation(f(k), j - 1, every('z', k))]));

  const {output, factor, term, slope} = DATA.losses[net.loss];
  const put = each(N, i => ({y: of('y', N, i), t: say(`t[${i}]`), o: output && say(`o[${i}]`),
    C: net.sizes[N]}));
  const before = fill(factor, put[0]), terms = total(put.map(values => fill(term, values)));
  const loss = part(`Loss (${net.loss})`,
    output ? each(N, j => [`o[${j}]`, activation(output, j - 1, every('y', N))]) : [],
    [['div', before && terms.includes(' + ') ? `${before}(${terms})` : before + terms]],
    each(N, j => [`dy${N}[${j}]`, fill(slope, put[j - 1])]));

  const backward = k => part(`Backward, k = ${k} (${f(k)})`,
    each(k, j => [`dz${k}[${j}]`,
      chain(f(k), j - 1, every('z', k), every('y', k), every('dy', k))]),
    k > 1 ? each(k - 1, i => [`dy${k - 1}[${i}]`,
      total(each(k, j => `${of('w', k, i, j)}~${of('dz', k, j)}`))]) : [],
    each(k - 1, i => each(k, j => [`dw${k}[${i},${j}]`,
      `${of('y', k - 1, i)}~${of('dz', k, j)}`])).flat(),
    net[`b${k}`] ? each(k, j => [`db${k}[${j}]`, of('dz', k, j)]) : []);

  const changes = Object.keys(byName(learned(net))).map(name =>
    [`new_${name}`, `${say(name)} - ${say('lr')}~${say(`d${name}`)}`]);
  return [...layers(net).flatMap(forward), ...loss, ...layers(net).reverse().flatMap(backward),
    ...(DATA.updates ? part('Update', [['old_div']], changes, [['new_div']]) : [])];
}

/** Every step: its part, name, symbol, formula, the numbers put in, and the value. */
function stepsOf(net, all) {
  const known = {...byName(net), ...all};
  const factor = name => (known[name] < 0 ? `(${number(known[name])})` : number(known[name]));
  const put = formulas(net, factor);
  return formulas(net, symbol).map(({part, name, formula}, i) => ({part, name, left: symbol(name),
    formula: joined(formula), numbers: dotted(put[i].formula), value: all[name]}));
}

// LaTeX as MathML, by the rules of scripts/walk/mathml.py
const [ATOMS, GROUPS] = DATA.mathml.map(rules =>
  rules.map(([pattern, put]) => [new RegExp(pattern, 'g'), put]));
const ATOM = new RegExp(ATOMS.map(([pattern]) => pattern.source).join('|'), 'g');

function grouped(latex) {
  const rule = found => ATOMS.find(([pattern]) => found.match(pattern)?.[0] === found);
  const settled = math => {
    const next = GROUPS.reduce((text, [pattern, put]) => text.replace(pattern, put), math);
    return next === math ? math : settled(next);
  };
  return settled(latex.replace(ATOM, found => found.replace(...rule(found))));
}

/** In pieces between which a line may end: before a plus, minus or equals. */
function mathml(latex) {
  let depth = 0;
  const pieces = latex.replace(/[{([\])}]| [+=-] /g, found => {
    depth += '{(['.includes(found) - '})]'.includes(found);
    return found.length > 1 && depth === 0 ? `\n${found}` : found;
  });
  return pieces.split('\n').map(piece => `<math>${grouped(piece)}</math>`).join(' ');
}
