'use strict';
// A digit drawn on the canvas, as MNIST's were made, and what the network of a run says of it.

const $ = id => document.getElementById(id);
const WIDE = 28, LONGEST = 20, PAPER = 280, MOST = 100; // pixels; and hidden units shown
const paper = $('paper').getContext('2d', {willReadFrequently: true});
const bytes = text => Uint8Array.from(atob(text), character => character.charCodeAt(0));

/** The network as trained: rows of w by input. */
function trained() {
  const net = {sizes: DATA.sizes, activations: DATA.activations, loss: DATA.loss, lr: DATA.lr};
  DATA.parameters.forEach(([w, b], before) => {
    const [values, biases] = [w, b].map(text => new Float32Array(bytes(text).buffer));
    const O = net.sizes[before + 1];
    net[`w${before + 1}`] = range(net.sizes[before])
      .map(i => Array.from(values.subarray(i * O, (i + 1) * O)));
    net[`b${before + 1}`] = Array.from(biases);
  });
  return net;
}

/** Ink on the paper, 0 to 1, as MNIST has it: 20 pixels long, its mass around pixel (14, 14). */
function seen() {
  const {data} = paper.getImageData(0, 0, PAPER, PAPER), image = new Array(WIDE * WIDE).fill(0);
  let left = PAPER, right = -1, top = PAPER, bottom = -1;
  for (let at = 0; at < PAPER * PAPER; at++) {
    if (!data[4 * at]) continue;
    const x = at % PAPER, y = (at - x) / PAPER;
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = y;
  }
  if (right < 0) return image;
  const scale = LONGEST / (Math.max(right - left, bottom - top) + 1);
  const box = new Float64Array(LONGEST ** 2), pixels = new Float64Array(LONGEST ** 2);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const cell = Math.floor((y - top) * scale) * LONGEST + Math.floor((x - left) * scale);
      box[cell] += data[4 * (y * PAPER + x)] / 255;
      pixels[cell] += 1;
    }
  }
  let [mass, across, down] = [0, 0, 0];
  box.forEach((ink, cell) => {
    box[cell] = pixels[cell] ? ink / pixels[cell] : 0;
    mass += box[cell];
    across += box[cell] * (cell % LONGEST + 0.5);
    down += box[cell] * (Math.floor(cell / LONGEST) + 0.5);
  });
  const [dx, dy] = [across, down].map(moment => Math.ceil(WIDE / 2 - moment / mass));
  box.forEach((ink, cell) => {
    const x = cell % LONGEST + dx, y = Math.floor(cell / LONGEST) + dy;
    if (ink && x >= 0 && x < WIDE && y >= 0 && y < WIDE) image[y * WIDE + x] = ink;
  });
  return image;
}

/** The outputs as probabilities where the loss takes logits. */
const answers = tape => tape.o ?? tape[`y${net.activations.length}`];

/** Colours of pixels, [r, g, b] each from 0 to 1, on a canvas of 28 x 28. */
function paint(canvas, colours) {
  const image = new ImageData(WIDE, WIDE);
  colours.forEach((colour, at) => image.data.set([...colour.map(part => 255 * part), 255], 4 * at));
  canvas.getContext('2d').putImageData(image, 0, 0);
}

const BLUE = [0.25, 0.6, 1], ORANGE = [1, 0.55, 0.1];
const signed = (value, most, under = 0) => {
  const share = most ? Math.min(1, Math.abs(value) / most) : 0;
  return (value > 0 ? BLUE : ORANGE).map(part => under * (1 - share) + part * share);
};

/** All that shows what the network makes of the paper. */
function render() {
  const x = seen(), target = Number($('target').value);
  net = {...net, x, t: range(10).map(digit => (digit === target ? 1 : 0))};
  const tape = forward(net), found = backward(net, tape), out = answers(tape);
  const dx = RULES.back(net.w1, found.dz1);
  const best = out.indexOf(Math.max(...out)), blank = Math.max(...x) === 0;
  $('answer').textContent = blank ? 'Nothing is there yet' : `It reads a ${best}`;
  const wide = value => `${100 * Math.min(1, Math.max(0, value))}%`;
  $('outputs').innerHTML = out.map((value, digit) => `<tr class="${digit === best ? 'best' : ''}">
    <th scope="row">${digit}</th><td><i style="width: ${wide(value)}"></i></td>
    <td>${value.toFixed(4)}</td></tr>`).join('');
  const most = Math.max(...dx.map(Math.abs));
  paint($('slope'), dx.map((slope, at) => signed(-slope, most, x[at])));
  $('div').textContent = tape.div.toPrecision(4);
  hidden(tape.y1);
}

/** The units of the first layer, those that say most where there are very many. */
function hidden(y) {
  const loudest = range(y.length).sort((a, b) => Math.abs(y[b]) - Math.abs(y[a]));
  const shown = loudest.slice(0, MOST).sort((a, b) => a - b);
  const most = Math.max(1, ...y.map(Math.abs));
  if ($('hidden').children.length !== shown.length) {
    $('hidden').innerHTML = shown.map(() => `<figure><canvas width="28" height="28"></canvas><i></i>
      <figcaption></figcaption></figure>`).join('');
  }
  shown.forEach((unit, at) => {
    const [canvas, bar, caption] = $('hidden').children[at].children;
    const w = net.w1.map(row => row[unit]);
    const largest = Math.max(...w.map(Math.abs));
    paint(canvas, w.map(each => signed(each, largest)));
    canvas.setAttribute('aria-label', `weights of unit ${unit + 1}`);
    bar.style.width = `${100 * Math.abs(y[unit]) / most}%`;
    caption.textContent = y[unit].toFixed(3);
  });
}

function clear() {
  paper.fillStyle = 'black';
  paper.fillRect(0, 0, PAPER, PAPER);
}

/** An image of 28 x 28 bytes on the whole paper. */
function show(image) {
  const small = document.createElement('canvas');
  [small.width, small.height] = [WIDE, WIDE];
  paint(small, Array.from(image, ink => [ink / 255, ink / 255, ink / 255]));
  paper.imageSmoothingEnabled = false;
  paper.drawImage(small, 0, 0, PAPER, PAPER);
}

function learn(times) {
  for (let i = 0; i < times; i++) net = update(net, backward(net, forward(net)));
}

let net = trained(), next = 4, last = null;
const CLICKS = {
  clear: () => clear(),
  example: () => {
    show(bytes(DATA.images[next]));
    next = (next + 1) % DATA.images.length;
  },
  learn: () => learn(1),
  often: () => learn(100),
  again: () => { net = {...trained(), lr: net.lr}; },
};
document.addEventListener('click', ({target}) => {
  if (!CLICKS[target.id]) return;
  CLICKS[target.id]();
  render();
});
document.addEventListener('input', () => {
  const lr = Number($('lr').value);
  if (lr > 0) net.lr = lr;
  render();
});
const place = event => {
  const box = $('paper').getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top].map(at => at * PAPER / box.width);
};
$('paper').addEventListener('pointerdown', event => {
  $('paper').setPointerCapture(event.pointerId);
  last = place(event);
});
$('paper').addEventListener('pointermove', event => {
  if (!last) return;
  Object.assign(paper, {strokeStyle: 'white', lineWidth: 24, lineCap: 'round'});
  paper.beginPath();
  paper.moveTo(...last);
  paper.lineTo(...(last = place(event)));
  paper.stroke();
  render();
});
addEventListener('pointerup', () => { last = null; });

$('target').innerHTML = range(10).map(digit => `<option>${digit}</option>`).join('');
$('target').value = 9;
$('lr').value = net.lr;
$('facts').textContent = `${net.sizes.join('-')} network, ${net.activations.join(' and ')},
  loss ${net.loss}, trained by hand on MNIST`;
clear();
CLICKS.example();
render();
