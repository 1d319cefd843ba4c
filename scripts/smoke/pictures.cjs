// Parses pictures as Mermaid does in a browser; in the first one, each state's name must be a label, to the letter.
// Arguments: the first one's definition, the directory of the pictures.
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");

const [definition, directory] = process.argv.slice(2);
const installed = createRequire(path.resolve(process.env.NODE_PATH, "..", "x.cjs"));
const { JSDOM } = installed("jsdom");
const { window } = new JSDOM("<!doctype html><body></body>");
globalThis.window = window;
globalThis.document = window.document;

// What a browser shows of a label: Mermaid keeps its entities aside while it parses.
function shown(label) {
  const element = window.document.createElement("div");
  element.innerHTML = label
    .replace(/ﬂ°°/g, "&#")
    .replace(/ﬂ°/g, "&")
    .replace(/¶ß/g, ";")
    .replace(/<br\s*\/?>/g, "\n");
  // `$$…$$` would be a formula, `\n` a new line, `fa:fa-…` an icon; what keeps them from being that is not seen.
  if (/\$\$.*\$\$|\\n|fa[bklrs]?:fa-/.test(element.textContent)) return "something else";
  return element.textContent.replace(/\u200b/g, "");
}

function names(block) {
  return Object.entries(block.States).flatMap(([name, state]) => {
    const inner = [...(state.Branches ?? []), ...(state.ItemProcessor ? [state.ItemProcessor] : [])];
    return [name, ...inner.flatMap(names)];
  });
}

async function main() {
  const module = pathToFileURL(installed.resolve("mermaid"));
  const mermaid = (await import(module)).default;
  mermaid.initialize({ startOnLoad: false, maxTextSize: 1e7, maxEdges: 1e5 });
  const files = fs.readdirSync(directory).filter((name) => name.endsWith(".mmd"));
  const failed = [];
  for (const file of files) {
    const text = fs.readFileSync(path.join(directory, file), "utf8");
    const name = fs.readFileSync(path.join(directory, file.replace(/mmd$/, "name")), "utf8").trim();
    try {
      const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
      const n = text.split("\n").filter((line) => /^ *\S+ (-->|-\.->)/.test(line)).length;
      if (db.getEdges().length !== n) failed.push(`${name}: ${db.getEdges().length} of ${n} edges are read`);
      if (file !== "1.mmd") continue;
      const labels = [...db.getVertices().values()].map((vertex) => vertex.text);
      labels.push(...db.getSubGraphs().map((frame) => frame.title));
      const lines = new Set(labels.flatMap((label) => shown(label ?? "").split(/\n| · /)));
      for (const state of names(JSON.parse(fs.readFileSync(definition, "utf8")))) {
        if (!lines.has(state)) failed.push(`${name}: \`${state}\` is no label`);
      }
    } catch (error) {
      failed.push(`${name}: ${String(error.message).split("\n").slice(0, 4).join(" | ")}`);
    }
  }
  if (failed.length) {
    console.error(failed.map((line) => `error: Mermaid: ${line}`).join("\n"));
    process.exit(1);
  }
  console.error(`mermaid: ${files.length} pictures are read`);
}

main();
