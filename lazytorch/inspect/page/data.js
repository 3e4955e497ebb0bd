// The data, what is selected, and words for numbers.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { plan: 0, tab: "graph", stage: -1, kernel: -1, node: -1, listeners: [] };

for (const [number, plan] of data.plans.entries()) {
  plan.number = number;
  plan.kernels.forEach((kernel, i) => Object.assign(kernel, { number: i, plan }));
}
const allKernels = data.plans.flatMap((plan) => plan.kernels);
const plan = () => data.plans[state.plan];

function select(kernel, node = -1, planNumber = state.plan) {
  const moved = planNumber !== state.plan;
  Object.assign(state, { kernel, node, plan: planNumber });
  for (const listener of state.listeners) listener(moved);
}

const HUES = [212, 160, 32, 275, 345, 190, 95, 55, 240, 310, 15, 130];
const dark = () => document.documentElement.dataset.theme === "dark";
function colour(kernel, strength = 1) {
  const hue = HUES[kernel % HUES.length];
  const [s, l] = dark() ? [38, 42] : [52, 68];
  return `hsl(${hue}, ${s}%, ${l + (dark() ? -1 : 1) * (1 - strength) * 20}%)`;
}
const shade = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function seconds(s) {
  if (s >= 1) return `${s.toFixed(2)} s`;
  if (s >= 1e-3) return `${(s * 1e3).toFixed(2)} ms`;
  return s ? `${(s * 1e6).toFixed(1)} µs` : "–";
}
function bytes(n) {
  for (const [unit, size] of [["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10]])
    if (n >= size) return `${(n / size).toFixed(n / size >= 100 ? 0 : 1)} ${unit}`;
  return `${n} B`;
}
function count(n) {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]])
    if (n >= size) return `${(n / size).toFixed(n / size >= 100 ? 0 : 1)} ${unit}`;
  return `${n}`;
}
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);

// Operations and bytes a second of all of a kernel's runs, and how near that is to the machine's best.
function rates(kernel) {
  if (!kernel.seconds) return { flops: 0, bytes: 0, share: null };
  const flops = (kernel.operations * kernel.runs) / kernel.seconds;
  const moved = (kernel.bytes * kernel.runs) / kernel.seconds;
  const roof = roofOf(kernel);
  return { flops, bytes: moved, share: roof && Math.max(flops / roof.flops, moved / roof.bytes) };
}
function roofOf(kernel) {
  if (!data.roofline) return null;
  const known = data.roofline.flops_per_second;
  const type = ["float64", "float32", "bfloat16", "float16"].find((t) => kernel.types.includes(t) && known[t]);
  const flops = known[type] || known.float32 || Object.values(known)[0];
  return { type: known[type] ? type : "float32", flops, bytes: data.roofline.bytes_per_second };
}

// More than all of it: what was read lay in a cache.
const shareText = (share) => (share === null ? "–" : share > 1 ? "in cache" : `${Math.round(100 * share)}%`);

const tip = $("tip");
function showTip(event, text) {
  tip.textContent = text;
  tip.hidden = false;
  const { innerWidth: w, innerHeight: h } = window;
  tip.style.left = `${Math.min(event.clientX + 14, w - tip.offsetWidth - 10)}px`;
  tip.style.top = `${Math.min(event.clientY + 14, h - tip.offsetHeight - 10)}px`;
}
const hideTip = () => { tip.hidden = true; };
