// Opens pages in a headless Chromium, on a phone's width and a desktop's, light and dark, and fails
// if one logs anything, asks for anything but itself, scrolls sideways, or breaks a rule of WCAG A
// or AA that axe-core can tell. Pages with JavaScript are opened without it too.
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
