// Opens pages in a headless Chromium, on a phone's width and a desktop's, light and dark, and fails
// if one logs anything, asks for anything but itself, scrolls sideways, or breaks a rule of WCAG A
// or AA that axe-core can tell. Pages with JavaScript are opened without it too, and where windows can
// be moved, they are: what a window's numbers add up to must be what the library computed there.
//
// node scripts/pages.mjs MODULES PAGE...     MODULES: a folder with playwright-core and axe-core

import { createRequire } from 'node:module';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, ...pages] = process.argv.slice(2);
const require = createRequire(join(resolve(modules), 'pages.js'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

// The rules of WCAG take the longest, and are about each width and each scheme once.
const LOOKS = [
  { width: 390, colorScheme: 'light', rules: true },
  { width: 390, colorScheme: 'dark', rules: false },
  { width: 1280, colorScheme: 'light', rules: false },
  { width: 1280, colorScheme: 'dark', rules: true },
];
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

const folders = (process.env.PATH ?? '').split(delimiter);
const names = ['chromium', 'google-chrome', 'chromium-browser'];
const programs = names.flatMap((name) => folders.map((folder) => join(folder, name)));
const executablePath = programs.find((program) => existsSync(program));
if (!executablePath) throw new Error(`expected one of ${names.join(', ')}, found none`);
// Root has no sandbox, and no page here is a stranger's.
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
const complaints = [];

// Moves each window of a page by its fields and by a key; returns what is wrong there.
function moveWindows() {
  const wrong = [];
  for (const box of document.querySelectorAll('.movable')) {
    const fields = [...box.querySelectorAll('.controls input')];
    const shown = () => box.querySelector('.calculation .library');
    const check = () => {
      const numbers = box.querySelectorAll('.calculation table.lines data');
      const [sum, value] = [numbers[numbers.length - 1], shown()].map((data) => Number(data.value));
      const parts = [...numbers].map((data) => Math.abs(Number(data.value)));
      if (!(Math.abs(sum - value) <= 1e-5 * parts.reduce((a, b) => a + b, 1e-3))) {
        wrong.push(`${shown().dataset.name}: expected ${value}, found the sum ${sum}`);
      }
    };
    for (const share of [0, 0.37, 0.81, 1]) {
      for (const field of fields) {
        field.value = String(Math.round(share * Number(field.max || 0)));
        field.dispatchEvent(new Event('input'));
      }
      check();
    }
    const before = shown().dataset.name;
    const key = new KeyboardEvent('keydown', { key: 'ArrowUp', cancelable: true });
    box.querySelector('.to svg').dispatchEvent(key);
    if (Number(fields[1].max) > 0 && shown().dataset.name === before) {
      wrong.push(`${before}: expected another place after an arrow key, found the same`);
    }
    check();
  }
  return wrong;
}

async function open(page, { width, colorScheme, rules }, javaScriptEnabled) {
  const place = `${page}, ${width} pixels, ${colorScheme}${javaScriptEnabled ? '' : ', no script'}`;
  const viewport = { width, height: 900 };
  const context = await browser.newContext({ viewport, colorScheme, javaScriptEnabled });
  const tab = await context.newPage();
  const complain = (text) => complaints.push(`${place}: ${text}`);
  tab.on('console', (message) => complain(`logs ${message.type()}: ${message.text()}`));
  tab.on('pageerror', (error) => complain(`fails: ${error.message}`));
  const url = pathToFileURL(resolve(page)).href;
  tab.on('request', (request) => {
    const asked = request.url();
    if (asked !== url && !asked.startsWith('data:')) complain(`asks for ${asked}`);
  });
  await tab.goto(url);
  const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) complain(`scrolls sideways, as it is ${wide} pixels wide`);
  if (rules && javaScriptEnabled) {
    for (const wrong of await tab.evaluate(moveWindows)) complain(wrong);
    await tab.evaluate(axe);
    const { violations } = await tab.evaluate((values) =>
      axe.run(document, { runOnly: { type: 'tag', values } }), RULES);
    for (const { id, nodes } of violations) {
      complain(`${id}, ${nodes.length} times, such as ${nodes[0].html.slice(0, 200)}`);
    }
  }
  await context.close();
}

for (const page of pages) {
  for (const look of LOOKS) await open(page, look, true);
  if (readFileSync(page, 'utf8').includes('<script')) await open(page, LOOKS[0], false);
}
await browser.close();
if (complaints.length) {
  console.error(complaints.join('\n'));
  process.exit(1);
}
console.log(`${pages.length} pages, ${LOOKS.length} looks each: nothing logged, nothing fetched`);
