// Tabs, the choice of a plan, light and dark, and the first view.
const DRAW = { graph: () => { if (!graph.cy) drawGraph(); }, kernels: drawTable, roofline: drawRoofline, timeline: drawTimeline, memory: drawMemory };

function showTab(name) {
  state.tab = name;
  for (const b of document.querySelectorAll("#tabs button")) b.setAttribute("aria-selected", b.dataset.tab === name);
  for (const s of document.querySelectorAll("main > section")) s.hidden = s.id !== name;
  hideTip();
  DRAW[name]();
}

function showTotals() {
  const sum = (of) => allKernels.reduce((total, k) => total + of(k), 0);
  const rows = [
    ["plans", data.plans.length], ["kernels", allKernels.length], ["runs", count(sum((k) => k.runs))],
    ["in kernels", seconds(sum((k) => k.seconds))], ["operations", count(sum((k) => k.operations * k.runs))],
    ["moved", bytes(sum((k) => k.bytes * k.runs))],
  ];
  $("totals").innerHTML = rows.map(([k, v]) => `<div><dd>${v}</dd><dt>${k}</dt></div>`).join("");
}

function showPlans() {
  $("plan").innerHTML = data.plans.map((p) => `<option value="${p.number}">${p.number}: ${escaped(p.name)}</option>`).join("");
  $("plan").onchange = () => select(-1, -1, Number($("plan").value));
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  if (graph.cy) drawGraph(true);
  if (state.tab !== "graph") DRAW[state.tab]();
  showDetails();
}
$("theme").onclick = () => setTheme(dark() ? "light" : "dark");
for (const b of document.querySelectorAll("#tabs button")) b.onclick = () => showTab(b.dataset.tab);
window.addEventListener("resize", () => { if (state.tab !== "graph") DRAW[state.tab](); });
state.listeners.push(() => {
  $("plan").value = state.plan;
  if (state.tab !== "graph") DRAW[state.tab]();
});

document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
// The plan that took longest is what most come for.
state.plan = data.plans.reduce((best, p) => {
  const time = (q) => q.kernels.reduce((total, k) => total + k.seconds, 0);
  return time(p) > time(data.plans[best]) ? p.number : best;
}, 0);
showPlans();
showTotals();
if (data.plans.length) $("plan").value = state.plan;
showStages();
showDetails();
showTab("graph");
