'use strict';
// Moves the windows. Without it, the page shows those that were chosen.
(() => {
  const anchors = ['053061', '2166ac', '4393c3', '92c5de', 'd1e5f0', 'f7f7f7', 'fddbc7', 'f4a582',
    'd6604d', 'b2182b', '67001f'].map(hex => [0, 2, 4].map(at => parseInt(hex.slice(at, at + 2), 16)));
  const decoded = new Map();

  const numbers = id => {
    if (!decoded.has(id)) {
      const layer = JSON.parse(document.getElementById('numbers-' + id).textContent);
      for (const name of ['x', 'y', 'dx', 'dy', 'k', 'b']) {
        const bytes = Uint8Array.from(atob(layer[name]), c => c.charCodeAt(0));
        layer[name] = layer.bytes === 4 ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
      }
      decoded.set(id, layer);
    }
    return decoded.get(id);
  };

  const largest = values => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const colour = (x, most) => {
    const place = ((most ? x / most : 0) + 1) / 2 * 10, below = Math.min(9, Math.floor(place));
    return anchors[below].map((a, i) => Math.round(a + (place - below) * (anchors[below + 1][i] - a)));
  };
  const luminance = rgb => rgb.map(value => value / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, at) => sum + x * [0.2126, 0.7152, 0.0722][at], 0);
  const minus = text => text.replace(/-/g, '−').replace('e+', 'e');
  const small = x => {
    const size = Math.abs(x);
    if (size === 0) return '0';
    if (size < 0.0005) return minus(x.toExponential(0));
    if (size < 9.9995) return minus(x.toFixed(3));
    if (size < 99.995) return minus(x.toFixed(2));
    return minus(size < 9999.5 ? x.toFixed(0) : x.toExponential(0));
  };
  const rounded = x => {
    const size = Math.abs(x);
    if (size < 1e5 && Number.isInteger(x)) return minus(String(x));
    if (size < 1e-4 || size >= 1e5) return minus(x.toExponential(4));
    return minus(x.toFixed(size < 1e-2 ? 7 : size < 10 ? 6 : 4));
  };
  // The shortest decimal that reads back as the same number, as the program writes it.
  const whole = x => {
    const size = Math.abs(x);
    return minus(size !== 0 && (size < 1e-5 || size >= 1e15) ? x.toExponential() : String(x));
  };
  const exact = (x, bytes) => {
    if (bytes === 8) return whole(x);
    for (let digits = 1; digits < 10; digits += 1) {
      const short = Number(x.toPrecision(digits));
      if (Math.fround(short) === x) return whole(short);
    }
    return whole(x);
  };

  const split = (place, axes) => {
    const [, h, w] = axes;
    return [Math.floor(place / (h * w)), Math.floor(place / w) % h, place % w];
  };

  // What is multiplied for one place: for each plane the pairs of numbers, row by row, and where
  // the window lies.
  const forward = (layer, [d, y, x]) => {
    const [[, h, w], [D, C, kh, kw]] = [layer.input, layer.kernels];
    const first = Math.floor(d / (D / layer.groups)) * C;
    const [sh, sw] = layer.stride, [dh, dw] = layer.dilation, [top, left] = layer.padding;
    const planes = [];
    for (let c = 0; c < C; c += 1) {
      const pairs = [];
      for (let tap = 0; tap < kh * kw; tap += 1) {
        const row = y * sh + Math.floor(tap / kw) * dh - top, column = x * sw + tap % kw * dw - left;
        const inside = row >= 0 && row < h && column >= 0 && column < w;
        pairs.push([inside ? layer.x[((first + c) * h + row) * w + column] : null,
          layer.k[(d * C + c) * kh * kw + tap]]);
      }
      planes.push({ plane: first + c, pairs, left: `X_${first + c} under the kernel`, right: `K_${d},${c}` });
    }
    const window = [y * sh - top, x * sw - left, (kh - 1) * dh + 1, (kw - 1) * dw + 1];
    return { planes, window, part: 'channel' };
  };
  const adjoint = (layer, [c, y, x]) => {
    const [[, oh, ow], [D, C, kh, kw]] = [layer.output, layer.kernels];
    const count = D / layer.groups, first = Math.floor(c / C) * count;
    const [sh, sw] = layer.stride, [dh, dw] = layer.dilation, [top, left] = layer.padding;
    const output = (from, stride, len) => {
      const at = from / stride;
      return Number.isInteger(at) && at >= 0 && at < len ? at : null;
    };
    const planes = [];
    for (let d = first; d < first + count; d += 1) {
      const pairs = [];
      for (let rotated = 0; rotated < kh * kw; rotated += 1) {
        const tap = kh * kw - 1 - rotated;
        const row = output(y + top - Math.floor(tap / kw) * dh, sh, oh);
        const column = output(x + left - tap % kw * dw, sw, ow);
        pairs.push([row === null || column === null ? null : layer.dy[(d * oh + row) * ow + column],
          layer.k[(d * C + c % C) * kh * kw + tap]]);
      }
      planes.push({ plane: d, pairs, left: `∂E/∂Y_${d} around`, right: `rot180 K_${d},${c % C}` });
    }
    const span = (at, reach, stride) => {
      const from = Math.ceil((at - reach) / stride);
      return [from, Math.floor(at / stride) - from + 1];
    };
    const [row, rows] = span(y + top, (kh - 1) * dh, sh), [column, columns] = span(x + left, (kw - 1) * dw, sw);
    return { planes, window: [row, column, rows, columns], part: 'kernel' };
  };

  const make = (tag, attributes, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const math = text => text.split('_').flatMap((part, at) => {
    if (at === 0) return [part];
    const [, index, rest] = part.match(/^([A-Za-z0-9]+(?:,[A-Za-z0-9]+)*)?([^]*)$/);
    return [make('sub', {}, index || ''), rest];
  });
  const data = (x, text) => make('data', { value: String(x) }, text);

  const grid = (name, values, columns) => {
    const most = largest(values.map(x => x ?? 0)), table = make('table', { class: 'grid' });
    table.append(make('caption', {}, ...math(name)));
    const body = table.appendChild(make('tbody', {}));
    for (let at = 0; at < values.length; at += columns) {
      const row = body.appendChild(make('tr', {}));
      for (const x of values.slice(at, at + columns)) {
        if (x === null) {
          row.append(make('td', { class: 'outside' }, data(0, '·')));
          continue;
        }
        const cell = row.appendChild(make('td', {}, data(x, small(x))));
        const back = colour(x, most);
        cell.style.background = `rgb(${back.join(',')})`;
        cell.style.color = luminance(back) > 0.179 ? '#000' : '#fff';
      }
    }
    return table;
  };

  const draw = (plane, values, [height, width], [y, x, rows, columns], title) => {
    const svg = plane.querySelector('svg');
    if (plane.dataset.title !== title) {
      plane.dataset.title = title;
      const canvas = make('canvas', { width, height }), context = canvas.getContext('2d');
      const most = largest(values), pixels = context.createImageData(width, height);
      values.forEach((value, at) => pixels.data.set([...colour(value, most), 255], at * 4));
      context.putImageData(pixels, 0, 0);
      svg.querySelector('image').setAttribute('href', canvas.toDataURL());
      plane.querySelector('.name').replaceChildren(...math(title));
      plane.querySelector('.scale').textContent = `−${rounded(most)} to ${rounded(most)}`;
    }
    for (const rect of svg.querySelectorAll('rect')) {
      for (const [name, value] of Object.entries({ x, y, width: columns, height: rows })) rect.setAttribute(name, value);
    }
    svg.setAttribute('aria-label', `${title.replace('_', ' ')}, framed from row ${y}, column ${x} on`);
  };

  for (const box of document.querySelectorAll('.movable')) {
    const isForward = box.dataset.kind === 'forward';
    const taps = isForward ? forward : adjoint, symbol = isForward ? 'Y' : '∂E/∂X';
    const [from, to] = ['.from', '.to'].map(name => box.querySelector(name));
    const calculation = box.querySelector('.calculation');
    const start = box.querySelector('.library').dataset.name.match(/_(\d+)\[(\d+),(\d+)\]/).slice(1).map(Number);
    let place = [...start];

    const controls = make('div', { class: 'controls' });
    const inputs = [isForward ? 'kernel' : 'channel', 'row', 'column'].map((name, axis) => {
      const input = make('input', { type: 'number', min: '0', value: String(place[axis]) });
      controls.append(make('label', {}, name + ' ', input));
      return input;
    });
    controls.append(make('p', { class: 'hint' }, 'Move the window: drag in either picture, or choose one ' +
      'with the Tab key and press the arrow keys.'));
    const said = make('p', { class: 'result', 'aria-live': 'polite' });

    const show = () => {
      const layer = numbers(box.dataset.id), axes = isForward ? layer.output : layer.input;
      place = place.map((at, axis) => Math.max(0, Math.min(axes[axis] - 1, Math.round(at) || 0)));
      inputs.forEach((input, axis) => {
        input.max = String(axes[axis] - 1);
        if (document.activeElement !== input) input.value = String(place[axis]);
      });
      const [plane, y, x] = place, [, height, width] = axes, columns = layer.kernels[3];
      const { planes, window, part } = taps(layer, place);
      for (const each of planes) {
        each.products = each.pairs.map(([a, b]) => a === null ? null : a * b);
        each.sum = each.products.reduce((sum, product) => sum + (product ?? 0), 0);
      }
      planes.sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum));
      const target = isForward ? layer.y : layer.dx;
      const source = isForward ? layer.x : layer.dy, [, sh, sw] = isForward ? layer.input : layer.output;
      draw(to, [...target.slice(plane * height * width, (plane + 1) * height * width)], [height, width],
        [y, x, 1, 1], `${symbol}_${plane}`);
      const shown = planes[0].plane;
      draw(from, [...source.slice(shown * sh * sw, (shown + 1) * sh * sw)], [sh, sw], window,
        `${isForward ? 'X' : '∂E/∂Y'}_${shown}`);

      const lines = [], parts = [];
      for (const each of planes.slice(0, 2)) {
        const grids = make('div', { class: 'grids' });
        grids.append(grid(each.left, each.pairs.map(pair => pair[0]), columns),
          grid(each.right, each.pairs.map(pair => pair[1]), columns), grid('products', each.products, columns));
        parts.push(grids);
        lines.push([`sum of the products with ${each.right}`, each.sum]);
      }
      const rest = planes.slice(2);
      if (rest.length) {
        lines.push([`${rest.length} other ${part}${rest.length > 1 ? 's' : ''}`,
          rest.reduce((sum, each) => sum + each.sum, 0)]);
      }
      if (isForward && layer.b.length) {
        const untied = layer.b.length === layer.y.length, at = (plane * height + y) * width + x;
        lines.push([untied ? `B_${plane}[${y},${x}]` : `B[${plane}]`, layer.b[untied ? at : plane]]);
      }
      const total = lines.reduce((sum, line) => sum + line[1], 0);
      lines.push(['the sum', total]);
      const table = make('table', { class: 'lines' }), body = table.appendChild(make('tbody', {}));
      for (const [name, x] of lines) {
        body.append(make('tr', {}, make('th', { scope: 'row' }, ...math(name)),
          make('td', { class: 'number' }, data(x, rounded(x)))));
      }
      const value = target[(plane * height + y) * width + x], name = `${symbol}_${plane}[${y},${x}]`;
      const result = make('data', { class: 'library', 'data-name': name, value: String(value) }, exact(value, layer.bytes));
      said.replaceChildren(...math(name), ' = ', result, ' ', make('span', { class: 'quiet' },
        `(library, ${layer.bytes === 4 ? 'f32' : 'f64'}` + (total === value ? ')'
          : `; rounding ${minus(Math.abs(total - value).toExponential(0))})`)));
      calculation.replaceChildren(...parts, table, said);
    };

    // A pointer on either picture moves the window: on the first one, its middle.
    const point = (plane, event) => {
      const svg = plane.querySelector('svg'), layer = numbers(box.dataset.id), area = svg.viewBox.baseVal;
      const box_ = svg.getBoundingClientRect();
      const column = Math.floor(area.x + (event.clientX - box_.left) / box_.width * area.width);
      const row = Math.floor(area.y + (event.clientY - box_.top) / box_.height * area.height);
      if (plane === to) place = [place[0], row, column];
      else {
        const [, , kh, kw] = layer.kernels, middle = [kh, kw].map((size, axis) => (size - 1) * layer.dilation[axis] / 2);
        place = [place[0], ...[row, column].map((at, axis) => isForward
          ? Math.round((at + layer.padding[axis] - middle[axis]) / layer.stride[axis])
          : at * layer.stride[axis] + Math.round(middle[axis]) - layer.padding[axis])];
      }
      show();
    };
    for (const plane of [from, to]) {
      const svg = plane.querySelector('svg');
      svg.setAttribute('tabindex', '0');
      svg.addEventListener('pointerdown', event => { svg.setPointerCapture(event.pointerId); point(plane, event); });
      svg.addEventListener('pointermove', event => {
        if (event.pointerType === 'mouse' ? event.buttons : svg.hasPointerCapture(event.pointerId)) point(plane, event);
      });
      svg.addEventListener('keydown', event => {
        const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (!step) return;
        event.preventDefault();
        place = [place[0], place[1] + step[0], place[2] + step[1]];
        show();
      });
    }
    inputs.forEach((input, axis) => input.addEventListener('input', () => {
      if (input.value === '') return;
      place[axis] = Number(input.value);
      show();
    }));
    // What lies outside is corrected when the field is left.
    inputs.forEach((input, axis) => input.addEventListener('change', () => { input.value = String(place[axis]); }));
    box.insertBefore(controls, calculation);
  }
})();
