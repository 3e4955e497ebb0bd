// The graph: kernels, closed or open, or what one pass of the compiler changed.
const graph = { cy: null, open: new Set(), version: 0, waiting: new Map(), worker: null };
const MANY = 300; // nodes from which on everything is drawn more plainly, and passes show changes alone

function layoutWorker() {
  if (!graph.worker) {
    const text = $("dagre").textContent + "\n" + $("layout").textContent;
    graph.worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    graph.worker.onmessage = ({ data: { id, places } }) => {
      graph.waiting.get(id)(places);
      graph.waiting.delete(id);
    };
  }
  return graph.worker;
}
function laidOut(nodes, edges) {
  return new Promise((resolve) => {
    if (graph.waiting.size) { // nobody wants what is being laid out any more
      graph.worker.terminate();
      graph.worker = null;
      graph.waiting.clear();
    }
    const id = ++graph.version;
    graph.waiting.set(id, resolve);
    layoutWorker().postMessage({ id, edges, gap: nodes.length > MANY ? 14 : 26,
      nodes: nodes.map(({ id, width, height, parent }) => ({ id, width, height, parent })) });
  });
}

const wide = (...lines) => Math.max(46, 18 + 6.7 * Math.max(...lines.map((l) => l.length)));
function nodeOf(number, id, extra) {
  const node = plan().nodes[number];
  return { id, node: number, label: `${node.name}\n${node.type}`, width: wide(node.name, node.type), height: 36, ...extra };
}

function kernelGraph() {
  const { kernels, nodes: all, owners, parameters } = plan();
  const nodes = [], edges = new Map();
  const inputs = new Set(parameters), leaves = new Set();
  const link = (from, to) => edges.set(`${from}>${to}`, [from, to]);
  for (const k of kernels) {
    const isOpen = graph.open.has(k.number) && k.nodes.length > 0;
    const name = `${k.number}  ${k.name}`;
    const label = k.seconds ? `${name}\n${seconds(k.seconds / k.runs)}` : name;
    nodes.push({ id: `k${k.number}`, kernel: k.number, label: isOpen ? name : label, open: isOpen, width: wide(...label.split("\n")), height: 40 });
    const inside = new Set(k.nodes);
    for (const n of k.nodes) {
      if (isOpen) nodes.push(nodeOf(n, `n${n}@${k.number}`, { parent: `k${k.number}`, group: k.number }));
      for (const s of all[n].inputs) {
        const to = isOpen ? `n${n}@${k.number}` : `k${k.number}`;
        if (inside.has(s)) {
          if (isOpen) link(`n${s}@${k.number}`, to);
        } else if (s in owners) {
          const source = owners[s];
          link(graph.open.has(source) ? `n${s}@${source}` : `k${source}`, to);
        } else if (isOpen && inputs.has(s)) { // a copy in each kernel that reads it
          const leaf = `n${s}@${k.number}`;
          if (!leaves.has(leaf)) nodes.push(nodeOf(s, leaf, { parent: `k${k.number}`, leaf: true }));
          leaves.add(leaf);
          link(leaf, to);
        }
      }
    }
    for (const source of k.reads) // of a kernel with the same nodes: a copy before a write
      if (!graph.open.has(source) && !isOpen && source !== k.number) link(`k${source}`, `k${k.number}`);
  }
  return { nodes, edges: [...edges.values()] };
}

function passGraph(stage) {
  const { nodes: all, stages, passes } = plan();
  const after = new Set(stages[stage]), before = stage ? new Set(stages[stage - 1]) : after;
  let chosen = [...new Set([...before, ...after])];
  const isChanged = (n) => before.has(n) !== after.has(n);
  if ($("only-changes").checked && stage) {
    const near = new Set(chosen.filter(isChanged));
    for (const n of chosen) for (const s of all[n].inputs) {
      if (isChanged(n)) near.add(s);
      if (isChanged(s)) near.add(n);
    }
    chosen = chosen.filter((n) => near.has(n));
  }
  if (!chosen.length) chosen = [...after]; // the outputs alone changed
  const there = new Set(chosen);
  const nodes = chosen.map((n) => nodeOf(n, `n${n}`, { change: !isChanged(n) ? "same" : after.has(n) ? "added" : "removed" }));
  const edges = chosen.flatMap((n) => [...new Set(all[n].inputs)].filter((s) => there.has(s)).map((s) => [`n${s}`, `n${n}`]));
  const turned = stage ? passes[stage - 1].replaced.filter(([a, b]) => there.has(a) && there.has(b)) : [];
  return { nodes, edges, turned: turned.map(([a, b]) => [`n${a}`, `n${b}`]) };
}

function styleOf(isLarge, edgeCount) {
  const text = shade("text"), muted = shade("muted"), line = shade("line"), surface = shade("surface");
  return [
    { selector: "node", style: {
      shape: "round-rectangle", width: "data(width)", height: "data(height)", label: "data(label)",
      "text-wrap": "wrap", "text-valign": "center", "font-size": 10.5, "line-height": 1.25, color: text,
      "font-family": "system-ui, sans-serif", "background-color": surface, "border-width": 1, "border-color": line,
      "min-zoomed-font-size": isLarge ? 5 : 3 } },
    { selector: "node[kernel >= 0]", style: { "background-color": (n) => colour(n.data("kernel"), 0.55), "border-width": 0, "font-weight": 600 } },
    { selector: "node[?open]", style: { "background-opacity": 0.28, "text-valign": "top", "text-margin-y": 15, padding: 14, "border-width": 1, "border-color": (n) => colour(n.data("kernel")) } },
    { selector: "node[group >= 0]", style: { "background-color": (n) => colour(n.data("group"), 0.3), "border-color": (n) => colour(n.data("group")) } },
    { selector: "node[?leaf]", style: { color: muted, "border-style": "dashed", "background-opacity": 0 } },
    { selector: "node[change = 'same']", style: { color: muted } },
    { selector: "node[change = 'added']", style: { "border-color": shade("added"), "border-width": 2, "background-color": shade("added"), "background-opacity": 0.14 } },
    { selector: "node[change = 'removed']", style: { "border-color": shade("removed"), "border-width": 1.5, "border-style": "dashed", "background-color": shade("removed"), "background-opacity": 0.1, color: muted } },
    { selector: "edge", style: { width: 1.1, "line-color": muted, opacity: Math.min(0.55, Math.max(0.12, 150 / edgeCount)), "curve-style": isLarge ? "straight" : "bezier", "target-arrow-shape": "triangle", "target-arrow-color": muted, "arrow-scale": 0.7 } },
    { selector: "edge.turned", style: { "line-color": shade("replaced"), "target-arrow-color": shade("replaced"), "line-style": "dotted", width: 1.6, opacity: 0.9, "curve-style": "unbundled-bezier" } },
    { selector: "edge.near", style: { "line-color": shade("accent"), "target-arrow-color": shade("accent"), opacity: 1, width: 2, "z-index": 9 } },
    { selector: ".chosen", style: { "border-color": shade("accent"), "border-width": 3 } },
    { selector: ".dim", style: { opacity: 0.18 } },
  ];
}

async function drawGraph(keep = false) {
  const inKernels = state.stage < 0;
  for (const e of document.querySelectorAll("#graph .kernels-only")) e.hidden = !inKernels;
  for (const e of document.querySelectorAll("#graph .passes-only")) e.hidden = inKernels || state.stage === 0;
  if (!data.plans.length) return showEmpty("No plan ran.");
  const same = !inKernels && state.stage > 0 && !plan().passes[state.stage - 1].changed;
  const { nodes, edges, turned = [] } = inKernels ? kernelGraph() : passGraph(state.stage);
  showLegend(inKernels, turned.length);
  showEmpty(same ? `“${plan().passes[state.stage - 1].name}” changed nothing.` : nodes.length ? "" : "Nothing to show.");
  const version = graph.version + 1;
  $("busy").hidden = nodes.length < 60;
  const places = await laidOut(nodes, edges);
  if (graph.version !== version) return; // another one was asked for meanwhile
  $("busy").hidden = true;
  const isLarge = nodes.length > MANY;
  const view = keep && graph.cy ? { zoom: graph.cy.zoom(), pan: { ...graph.cy.pan() } } : null;
  if (graph.cy) graph.cy.destroy();
  graph.cy = cytoscape({
    container: $("canvas"), style: styleOf(isLarge, edges.length), minZoom: 0.02, maxZoom: 3,
    textureOnViewport: isLarge, hideEdgesOnViewport: isLarge, boxSelectionEnabled: false, autounselectify: true,
    elements: [
      ...nodes.map((n) => ({ data: n, position: places[n.id], grabbable: !isLarge })),
      ...edges.map(([source, target]) => ({ data: { id: `${source}>${target}`, source, target } })),
      ...turned.map(([source, target]) => ({ data: { id: `${source}~${target}`, source, target }, classes: "turned" })),
    ],
    layout: { name: "preset" },
  });
  if (view) graph.cy.viewport(view);
  else fitGraph();
  graph.cy.on("tap", "node", ({ target }) => {
    const { node, kernel } = target.data();
    select(kernel === undefined ? (target.data("group") ?? -1) : kernel, node === undefined ? -1 : node);
  });
  graph.cy.on("tap", (event) => { if (event.target === graph.cy) select(-1); });
  graph.cy.on("dbltap", "node[kernel >= 0]", ({ target }) => toggleKernel(target.data("kernel")));
  markChosen();
  graph.drawn = version;
}

// All of it where that can be read, else its beginning.
function fitGraph() {
  const cy = graph.cy;
  cy.fit(undefined, 24);
  if (cy.zoom() > 1.15) { cy.zoom(1.15); cy.center(); }
  if (cy.zoom() < 0.4) {
    const top = cy.nodes().min((n) => n.boundingBox().y1).ele;
    cy.zoom(0.7);
    cy.center(top);
    cy.panBy({ x: 0, y: 24 - top.renderedBoundingBox().y1 });
  }
}

function toggleKernel(number) {
  if (graph.open.has(number)) graph.open.delete(number);
  else graph.open.add(number);
  drawGraph();
}

function markChosen() {
  if (!graph.cy) return;
  graph.cy.elements().removeClass("chosen near");
  const chosen = state.node >= 0 ? graph.cy.nodes(`[node = ${state.node}]`) : graph.cy.$id(`k${state.kernel}`);
  chosen.addClass("chosen").connectedEdges().addClass("near");
}

function showEmpty(text) {
  $("empty").hidden = !text;
  $("empty").textContent = text;
  if (text && graph.cy) { graph.cy.destroy(); graph.cy = null; }
}

function showLegend(inKernels, hasTurned) {
  const swatch = (name, text) => `<span><i style="background:var(--${name})"></i>${text}</span>`;
  $("legend").innerHTML = inKernels ? "<span>a colour a kernel; double-click opens it</span>"
    : state.stage === 0 ? "<span>the graph as it came from your calls</span>"
    : swatch("added", "new") + swatch("removed", "gone") + (hasTurned ? swatch("replaced", "replaced by") : "");
}

function showStages() {
  const { stages, passes, kernels } = plan() ?? { stages: [], passes: [], kernels: [] };
  const made = [`<button data-stage="-1">kernels<small>${kernels.length} after fusion</small></button>`];
  stages.forEach((nodes, i) => {
    if (!i) return made.push(`<button data-stage="0">as called<small>${nodes.length} nodes</small></button>`);
    const before = new Set(stages[i - 1]), after = new Set(nodes);
    const more = nodes.filter((n) => !before.has(n)).length, less = stages[i - 1].filter((n) => !after.has(n)).length;
    const change = passes[i - 1].changed ? `<span class="minus">−${less}</span> <span class="plus">+${more}</span>` : "";
    made.push(`<span class="then">→</span><button data-stage="${i}" class="${change ? "" : "same"}">${escaped(passes[i - 1].name)}<small>${change || "unchanged"}</small></button>`);
  });
  $("stages").innerHTML = made.join("");
  for (const b of $("stages").querySelectorAll("button")) {
    b.setAttribute("aria-pressed", Number(b.dataset.stage) === state.stage);
    b.onclick = () => {
      state.stage = Number(b.dataset.stage);
      $("only-changes").checked = state.stage > 0 && stages[state.stage].length > 60;
      showStages();
      drawGraph();
    };
  }
}

function search(text) {
  if (!graph.cy) return;
  const wanted = text.trim().toLowerCase();
  graph.cy.batch(() => {
    graph.cy.elements().removeClass("dim");
    if (!wanted) return;
    const linesOf = (d) => (d.node !== undefined ? plan().nodes[d.node].lines : plan().kernels[d.kernel].lines);
    const hits = graph.cy.nodes().filter((n) => `${n.data("label")} ${linesOf(n.data()).join(" ")}`.toLowerCase().includes(wanted));
    graph.cy.elements().not(hits).not(hits.ancestors()).not(hits.descendants()).addClass("dim");
    if (hits.length) graph.cy.animate({ center: { eles: hits[0] }, duration: 150 });
  });
}

$("expand").onclick = () => { graph.open = new Set(plan().kernels.map((k) => k.number)); drawGraph(); };
$("collapse").onclick = () => { graph.open.clear(); drawGraph(); };
$("fit").onclick = () => graph.cy && graph.cy.fit(undefined, 24);
$("only-changes").onchange = () => drawGraph();
$("search").oninput = (event) => search(event.target.value);
state.listeners.push((moved) => {
  if (moved) { graph.open.clear(); state.stage = -1; showStages(); drawGraph(); } else markChosen();
});
