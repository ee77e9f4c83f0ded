// The notebook as a person meets it: opened in JupyterLab, all cells run, the
// live tables watched, completion and documentation asked for.
//
//     CHROMIUM=/usr/bin/chromium PYTHON=$PWD/../../.venv/bin/python node --test lab.test.mjs

import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import * as lab from "./lab.mjs";

const project = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const results = path.join(project, "build/test");
const scratch = path.join(results, "browser");
const name = "search_versus_random.ipynb";
const minutes = 60000;
const seeds = Array.from({ length: 10 }, (_, i) => 1268 + i);

let server, browser, page, shown;

before(async () => {
  await rm(scratch, { recursive: true, force: true });
  const root = path.join(scratch, "notebooks");
  await mkdir(root, { recursive: true });
  await copyFile(path.join(project, "notebooks", name), path.join(root, name));
  server = await lab.startLab({
    python: process.env.PYTHON || path.join(project, ".venv/bin/python"),
    root,
    scratch,
    // A new study: jobs that were finished before would leave nothing to watch.
    environment: { EVALNAS_STUDY: path.join(scratch, "study"), EVALNAS_STUDIES_FILE: "/dev/null", EVALNAS_HISTORY: "off" },
  });
  browser = await lab.launchChromium();
});

after(async () => {
  await browser?.close();
  await server?.stop();
});

test("the notebook opens with its own kernel", async () => {
  page = await lab.openNotebook(browser, server.address, name);
  assert.match(await page.textContent(".jp-Toolbar-kernelName"), /evalnas/i);
});

test("all cells run", async () => {
  shown = await lab.recordOutputs(page, "table");
  await lab.runAll(page, 10 * minutes);
  const errors = await page.$$eval('.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]', (outputs) => outputs.map((o) => o.textContent));
  assert.deepEqual(errors, []);
});

test("the live tables moved, and ended with every seed done", async () => {
  const moving = Object.values(await shown()).filter((texts) => texts.some((text) => /running|pending/.test(text)));
  assert.ok(moving.length > 0, "no table was seen before its jobs were done");
  assert.ok(moving.some((texts) => new Set(texts).size >= 5), "no table showed as many as five different states");
  // The rows of the live tables begin with a seed and its state.
  const ended = await page.$$eval(".jp-OutputArea-output table", (tables) =>
    tables.map((table) => [...table.rows].map((row) => [...row.cells].slice(0, 2).map((cell) => cell.textContent.trim()).join(" ")).filter((row) => /^\d+ (pending|running|done|failed|cancelled|lost)$/.test(row))));
  const live = ended.filter((rows) => rows.length > 0);
  assert.ok(live.length >= moving.length, `${live.length} live tables at the end, ${moving.length} were seen moving`);
  for (const rows of live) assert.deepEqual(rows, seeds.map((seed) => `${seed} done`));
});

test("the figures are drawn", async () => {
  const widths = await page.$$eval(".jp-OutputArea-output img.evalnas-figure", (pictures) => pictures.map((picture) => picture.naturalWidth));
  assert.ok(widths.length >= 4, `${widths.length} figures`);
  for (const width of widths) assert.ok(width > 100, `a figure is ${width} pixels wide`);
});

test("the figures follow the theme", async () => {
  const figure = page.locator(".jp-OutputArea-output img.evalnas-figure").first();
  assert.ok((await lab.brightness(page, figure)) > 200, "a figure is not light at first");
  await lab.theme(page, "JupyterLab Dark", "false");
  assert.ok((await lab.brightness(page, figure)) < 60, "a figure is not dark on the dark theme");
  await lab.theme(page, "JupyterLab Light", "true");
  assert.ok((await lab.brightness(page, figure)) > 200, "a figure is not light again");
});

test("Tab completes and Shift-Tab documents", async () => {
  await lab.screenshots(page, results, "notebook");
  await lab.newLastCell(page);
  await page.keyboard.type("nasbench");
  assert.match(await lab.ask(page, "Tab", ".jp-Completer"), /nasbench101/);
  await page.screenshot({ path: path.join(results, "completion.png") });
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("search(");
  assert.match(await lab.ask(page, "Shift+Tab", ".jp-Tooltip"), /policy.*space.*objective.*seeds/s);
  await page.screenshot({ path: path.join(results, "tooltip.png") });
  await page.keyboard.press("Escape");
});

test("the saved notebook shows the same", async () => {
  const file = path.join(scratch, "notebooks", name);
  const { mtimeMs } = await stat(file);
  await lab.menu(page, "File", "Save Notebook");
  await lab.until(async () => (await stat(file)).mtimeMs > mtimeMs, "the notebook is saved", minutes);
  const saved = await lab.until(() => readFile(file, "utf8").then(JSON.parse).catch(() => null), "the saved file is whole", minutes);
  const outputs = saved.cells.flatMap((cell) => cell.outputs ?? []);
  assert.ok(outputs.every((output) => output.output_type !== "error"));
  const tables = outputs.map((output) => [output.data?.["text/plain"] ?? ""].flat().join("")).filter((text) => /^\W*1268\b.*\bdone\b/m.test(text));
  assert.ok(tables.length > 0, "no live table was saved");
  for (const text of tables) assert.doesNotMatch(text, /\b(running|pending)\b/);
});

test("the table of a training follows it, and its curves appear", async () => {
  const nets = "training.ipynb";
  const cell = 'nets = train(sample_random(darts_space(), seeds=[1, 2]), synthetic(train=256, test=32), epochs=3, channels=4, cells=2, batch=32)\nnets';
  const file = path.join(scratch, "notebooks", nets);
  const { metadata } = JSON.parse(await readFile(path.join(project, "notebooks", name), "utf8"));
  await writeFile(file, JSON.stringify({ cells: [{ cell_type: "code", execution_count: null, id: "train", metadata: {}, outputs: [], source: cell }], metadata, nbformat: 4, nbformat_minor: 5 }));
  const training = await lab.openNotebook(browser, server.address, nets);
  const texts = await lab.recordOutputs(training, "table");
  await lab.runAll(training, minutes);
  const states = () => training.$$eval(".jp-OutputArea-output table tr", (rows) => rows.slice(1).map((row) => row.cells[2].textContent.trim()));
  await lab.until(async () => (await states()).join() === "done,done", "both networks are trained", 5 * minutes);
  assert.ok(new Set(Object.values(await texts()).flat()).size >= 2, "the table did not move");
  const width = await training.$eval('.jp-OutputArea-output img[alt="training curves"]', (picture) => picture.decode().then(() => picture.naturalWidth));
  assert.ok(width > 100, `the curves are ${width} pixels wide`);
  await lab.screenshots(training, results, "training");
  await training.close();
});

// write puts a notebook of the given cells beside the others.
async function write(file, cells) {
  const { metadata } = JSON.parse(await readFile(path.join(project, "notebooks", name), "utf8"));
  await writeFile(path.join(scratch, "notebooks", file), JSON.stringify({
    cells: cells.map((source, i) => ({ cell_type: "code", execution_count: null, id: `cell-${i}`, metadata: {}, outputs: [], source })),
    metadata, nbformat: 4, nbformat_minor: 5,
  }));
}

test("Interrupt ends a loop, and Restart and Run All begins anew", async () => {
  await write("loop.ipynb", ["print('begun')", "while True:\n    pass"]);
  const loop = await lab.openNotebook(browser, server.address, "loop.ipynb");
  const outputs = () => loop.$$eval(".jp-OutputArea-output", (all) => all.map((output) => output.textContent.trim()));
  await lab.menu(loop, "Run", "Run All Cells");
  await lab.until(async () => (await outputs()).includes("begun"), "the first cell has run", minutes);
  await lab.menu(loop, "Kernel", "Interrupt Kernel");
  await lab.until(async () => (await outputs()).some((text) => text.includes("KeyboardInterrupt")), "the loop is interrupted", minutes);
  await lab.menu(loop, "Kernel", "Restart Kernel and Run All Cells…");
  await loop.click(".jp-Dialog .jp-mod-accept");
  await lab.until(async () => (await outputs()).join() === "begun", "the cells run in a new kernel", minutes);
  await lab.menu(loop, "Kernel", "Interrupt Kernel");
  await lab.until(async () => (await outputs()).some((text) => text.includes("KeyboardInterrupt")), "the loop is interrupted again", minutes);
  await loop.close();
});

// The seeds and states in the tables below a cell.
const states = (cell) => cell.locator(".jp-OutputArea-output table tr").evaluateAll((rows) =>
  rows.map((row) => [...row.cells].slice(0, 2).map((cell) => cell.textContent.trim()).join(" ")).filter((text) => /^\d+ [a-z]+$/.test(text)));

test("a page that is loaded again in the middle of a search shows it by attach", async () => {
  // Longer than any test: it is cancelled in the end.
  await write("reload.ipynb", ['found = search("enas", nasbench101(), params(), seeds=[11, 12, 13], budget=1000000, confirm=True)\nfound']);
  const reload = await lab.openNotebook(browser, server.address, "reload.ipynb");
  const cell = (place) => reload.locator(".jp-Notebook .jp-CodeCell").nth(place);
  const ran = async (code) => {
    await lab.newLastCell(reload);
    await reload.keyboard.type(code);
    await reload.keyboard.press("Shift+Enter");
  };
  await lab.menu(reload, "Run", "Run All Cells");
  await lab.until(async () => (await states(cell(0))).some((row) => row.endsWith("running")), "a seed runs", 2 * minutes);
  await lab.menu(reload, "File", "Save Notebook");
  await reload.reload();
  await lab.notebookIsOpen(reload);
  await ran("attach()[-1]");
  await lab.until(async () => (await states(cell(1))).some((row) => row.endsWith("running")), "the table is there again", minutes);
  const texts = await lab.recordOutputs(reload, "table");
  const moved = async () => ((await texts())[1] ?? []).length >= 3;
  await lab.until(moved, "the table moves", minutes);
  await ran("cancel(attach()[-1])");
  await lab.until(async () => (await states(cell(1))).join() === "11 cancelled,12 cancelled,13 cancelled", "the table ends", minutes);
  await reload.close();
});
