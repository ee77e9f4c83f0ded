// A JupyterLab of our own and a Chromium that looks at it.
//
// startLab gives a server on a free loopback port with its settings in a
// scratch folder; openNotebook a page on which the kernel is idle. Everything is
// waited for by what the page shows.

import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import path from "node:path";
import { chromium } from "playwright-core";

const CHROMIUM_FLAGS = [
  "--no-sandbox", // Chromium refuses to run as root with it
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  // A test machine may have no network beyond itself.
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// A loaded machine may take so long for any one step; milliseconds.
const patience = 180000;

// until polls check until it answers something true, and fails with what after
// the given milliseconds.
export async function until(check, what, milliseconds) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`${what}: not after ${milliseconds / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

// startLab serves the folder root with the Jupyter of the given Python. Its
// settings, runtime files and log are in the folder scratch.
export async function startLab({ python, root, scratch, environment = {} }) {
  await writeSettings(scratch);
  const port = await freePort();
  const server = spawn(
    python,
    ["-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", `--ServerApp.port=${port}`,
      "--ServerApp.port_retries=0", "--ServerApp.token=", "--ServerApp.password=", `--ServerApp.root_dir=${root}`],
    {
      cwd: root,
      detached: true, // a group of its own, so that it ends with its kernels
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        JUPYTER_PREFER_ENV_PATH: "1",
        JUPYTER_CONFIG_DIR: path.join(scratch, "config"),
        JUPYTER_DATA_DIR: path.join(scratch, "data"),
        JUPYTER_RUNTIME_DIR: path.join(scratch, "runtime"),
        JUPYTERLAB_SETTINGS_DIR: path.join(scratch, "settings"),
        JUPYTERLAB_WORKSPACES_DIR: path.join(scratch, "workspaces"),
        ...environment,
      },
    },
  );
  const log = createWriteStream(path.join(scratch, "jupyterlab.log"));
  server.stdout.pipe(log);
  server.stderr.pipe(log);
  let ended = false;
  const end = new Promise((resolve) => server.on("exit", () => resolve((ended = true))));
  const address = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (ended) return;
    process.kill(server.pid, "SIGTERM"); // shuts the kernels down first
    const kill = setTimeout(() => process.kill(-server.pid, "SIGKILL"), 10000);
    await end;
    clearTimeout(kill);
  };
  try {
    await until(async () => {
      if (ended) throw new Error(`JupyterLab ended at once: see ${scratch}/jupyterlab.log`);
      return fetch(`${address}/api`).then((answer) => answer.ok, () => false);
    }, "JupyterLab answers", patience);
  } catch (fault) {
    await stop();
    throw fault;
  }
  return { address, stop };
}

async function writeSettings(scratch) {
  const files = {
    // Asks whether to fetch news, over the notebook.
    "config/labconfig/page_config.json": { disabledExtensions: { "@jupyterlab/apputils-extension:announcements": true } },
    // Cells out of sight stay in the page, where they can be read.
    "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings": { windowingMode: "none" },
  };
  for (const [name, content] of Object.entries(files)) {
    const file = path.join(scratch, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify(content));
  }
}

export function launchChromium() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true, args: CHROMIUM_FLAGS });
}

// The indicator beside the kernel's name is idle before there is a kernel, too;
// the status bar tells the two apart.
export async function kernelIsIdle(page) {
  await page.waitForSelector('#jp-main-statusbar :text("| Idle")');
  await page.waitForSelector('.jp-Notebook-ExecutionIndicator[data-status="idle"]', { state: "attached" });
}

// openNotebook opens the notebook and waits until its kernel is idle: a Run All
// that is sent earlier is lost. Each page has a workspace of its own: a page that is loaded again
// would open what others have open, too.
export async function openNotebook(browser, address, name) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 1000 } });
  page.setDefaultTimeout(patience);
  await page.goto(`${address}/lab/workspaces/${path.parse(name).name}/tree/${encodeURIComponent(name)}?reset`);
  await notebookIsOpen(page);
  return page;
}

// notebookIsOpen waits for the cells and an idle kernel, after a reload as well.
export async function notebookIsOpen(page) {
  await page.waitForSelector(".jp-Notebook .jp-Cell");
  await kernelIsIdle(page);
}

export async function menu(page, title, item) {
  await page.click(`.lm-MenuBar-itemLabel:text-is("${title}")`);
  await page.click(`.lm-Menu-itemLabel:text-is("${item}")`);
}

// theme chooses a theme by its name in the menu; light is what the page then says.
export async function theme(page, name, light) {
  await page.click('.lm-MenuBar-itemLabel:text-is("Settings")');
  await page.hover('.lm-Menu-itemLabel:text-is("Theme")');
  await page.click(`.lm-Menu-itemLabel:text-is("${name}")`);
  await page.waitForSelector(`body[data-jp-theme-light="${light}"]`, { state: "attached" });
}

// brightness is that of a picture near its lower left corner as it is on the screen, 0 to 255.
export async function brightness(page, picture) {
  await picture.scrollIntoViewIfNeeded();
  await picture.evaluate((img) => img.decode());
  const shot = (await picture.screenshot()).toString("base64");
  return page.evaluate(async (shot) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${shot}`)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const [red, green, blue] = context.getImageData(6, bitmap.height - 6, 1, 1).data;
    return (red + green + blue) / 3;
  }, shot);
}

// runAll runs every cell and returns when the kernel has answered the last.
export async function runAll(page, milliseconds) {
  await menu(page, "Run", "Run All Cells");
  await until(async () => {
    const prompts = await page.$$eval(".jp-Notebook .jp-CodeCell", (cells) =>
      cells.filter((cell) => cell.querySelector(".cm-content")?.textContent.trim()).map((cell) => cell.querySelector(".jp-InputPrompt").textContent.trim()));
    return prompts.length > 0 && prompts.every((prompt) => /^\[\d+\]:$/.test(prompt));
  }, "every cell has run", milliseconds);
  await kernelIsIdle(page);
}

// recordOutputs keeps, for each output that matches the selector, the different
// texts that it showed in turn. The returned function reads them: a list a cell,
// by the cell's place in the notebook.
export async function recordOutputs(page, selector) {
  await page.evaluate((selector) => {
    window.shownTexts = {};
    const look = () => {
      document.querySelectorAll(".jp-Notebook .jp-Cell").forEach((cell, place) => {
        for (const output of cell.querySelectorAll(`.jp-OutputArea-output ${selector}`)) {
          const texts = (window.shownTexts[place] ??= []);
          if (texts.at(-1) !== output.textContent) texts.push(output.textContent);
        }
      });
    };
    new MutationObserver(look).observe(document.querySelector(".jp-Notebook"), { subtree: true, childList: true, characterData: true });
    look();
  }, selector);
  return () => page.evaluate(() => window.shownTexts);
}

// newLastCell appends a code cell and puts the cursor into it.
export async function newLastCell(page) {
  await page.locator(".jp-Notebook .jp-Cell").last().locator(".jp-InputPrompt").click();
  await page.keyboard.press("Escape");
  await page.keyboard.press("b");
  await page.keyboard.press("Enter");
}

// ask presses a key in the cell being edited until what it brings up is there,
// and returns its text. JupyterLab connects a new cell to its completer only
// after the cell has the focus, and says nowhere when it has.
export async function ask(page, key, selector) {
  for (let attempt = 1; ; attempt++) {
    await page.keyboard.press(key);
    try {
      await page.waitForSelector(selector, { timeout: 4000 });
      return await page.textContent(selector);
    } catch (fault) {
      if (attempt === 15) throw fault;
      await page.keyboard.press("Escape");
      await page.keyboard.press("Enter");
    }
  }
}

// screenshots pictures all of the notebook in pieces that a person can read,
// FOLDER/NAME-1.png and on.
export async function screenshots(page, folder, name) {
  const width = 1400, tall = 16000, piece = 1600;
  await page.setViewportSize({ width, height: tall });
  // The panel takes its new height some frames later.
  await page.waitForFunction((tall) => {
    const panel = document.querySelector(".jp-Notebook .jp-WindowedPanel-outer") ?? document.querySelector(".jp-Notebook");
    panel.scrollTop = 0;
    return panel.clientHeight > tall - 500 && panel.scrollTop === 0;
  }, tall);
  const end = await page.$$eval(".jp-Notebook .jp-Cell", (cells) => Math.max(...cells.map((cell) => cell.getBoundingClientRect().bottom)));
  const height = Math.min(Math.ceil(end) + 60, tall);
  for (let y = 0, n = 1; y < height; y += piece, n++) {
    await page.screenshot({ path: path.join(folder, `${name}-${n}.png`), clip: { x: 0, y, width, height: Math.min(piece, height - y) } });
  }
  await page.setViewportSize({ width, height: 1000 });
}
