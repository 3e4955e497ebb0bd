// The roofline of all kernels, and the map of a plan's memory.
const svg = (name, attributes, text = "") => `<${name} ${Object.entries(attributes).map(([k, v]) => `${k}="${escaped(v)}"`).join(" ")}>${text}</${name}>`;
const nameOf = (k) => `${k.name} (plan ${k.plan.number}, kernel ${k.number})`;

function drawRoofline() {
  const timed = allKernels.filter((k) => k.seconds && k.operations && k.bytes);
  if (!timed.length) return void ($("roofline").innerHTML = "<p class='none'>No kernel was timed.</p>");
  const box = $("roofline").getBoundingClientRect();
  const w = Math.max(500, box.width - 36), h = Math.max(320, box.height - 30);
  const points = timed.map((k) => ({ k, x: k.operations / k.bytes, y: rates(k).flops }));
  const roofs = data.roofline ? Object.entries(data.roofline.flops_per_second) : [];
  const slope = data.roofline ? data.roofline.bytes_per_second : 0;
  const ridge = roofs.map(([, flops]) => flops / slope);
  const span = (values) => [10 ** Math.floor(Math.log10(Math.min(...values)) - 0.1), 10 ** Math.ceil(Math.log10(Math.max(...values)) + 0.1)];
  const [x0, x1] = span([...points.map((p) => p.x), ...ridge.map((r) => r * 2)]);
  const [y0, y1] = span([...points.map((p) => p.y), ...roofs.map(([, f]) => f)]);
  const [left, right, top, bottom] = [66, w - 24, 18, h - 44];
  const px = (x) => left + ((right - left) * Math.log(x / x0)) / Math.log(x1 / x0);
  const py = (y) => bottom - ((bottom - top) * Math.log(y / y0)) / Math.log(y1 / y0);
  let made = "";
  for (let d = x0; d <= x1 * 1.01; d *= 10) {
    made += svg("line", { class: "axis", x1: px(d), x2: px(d), y1: top, y2: bottom });
    made += svg("text", { x: px(d), y: bottom + 16, "text-anchor": "middle" }, Number(d.toPrecision(1)));
  }
  for (let d = y0; d <= y1 * 1.01; d *= 10) {
    made += svg("line", { class: "axis", x1: left, x2: right, y1: py(d), y2: py(d) });
    made += svg("text", { x: left - 8, y: py(d) + 4, "text-anchor": "end" }, `${count(Number(d.toPrecision(1)))}`);
  }
  made += svg("text", { x: (left + right) / 2, y: h - 8, "text-anchor": "middle" }, "operations a byte moved");
  made += svg("text", { x: 14, y: (top + bottom) / 2, "text-anchor": "middle", transform: `rotate(-90 14 ${(top + bottom) / 2})` }, "operations a second");
  for (const [type, flops] of roofs) {
    const bend = flops / slope;
    const from = Math.max(x0, y0 / slope);
    made += svg("path", { class: "roof", d: `M${px(from)} ${py(from * slope)} L${px(bend)} ${py(flops)} L${px(x1)} ${py(flops)}` });
    made += svg("text", { x: right - 4, y: py(flops) - 6, "text-anchor": "end" }, `${type}: ${count(flops)}FLOP/s`);
  }
  const cache = data.roofline ? data.roofline.cache_bytes_per_second : 0, highest = Math.max(0, ...roofs.map(([, f]) => f));
  if (cache) made += svg("path", { class: "roof", "stroke-dasharray": "4 4", d: `M${px(Math.max(x0, y0 / cache))} ${py(Math.max(x0, y0 / cache) * cache)} L${px(highest / cache)} ${py(highest)}` });
  if (slope) made += svg("text", { x: px(Math.max(x0, y0 / slope)) + 8, y: py(Math.max(x0, y0 / slope) * slope) - 8 }, `memory ${bytes(slope)}/s; dashed: a core's cache ${bytes(cache)}/s`);
  const most = Math.max(...timed.map((k) => k.seconds));
  points.sort((a, b) => b.k.seconds - a.k.seconds);
  for (const { k, x, y } of points) {
    const isChosen = k.plan.number === state.plan && k.number === state.kernel;
    made += svg("circle", { class: `mark${isChosen ? " chosen" : ""}`, cx: px(x), cy: py(y), r: 4 + 12 * Math.sqrt(k.seconds / most), fill: colour(k.number), "fill-opacity": 0.8,
      "data-plan": k.plan.number, "data-kernel": k.number, "data-tip": `${nameOf(k)}\n${(y / 1e9).toFixed(2)} GFLOP/s, ${(rates(k).bytes / 1e9).toFixed(2)} GB/s, ${seconds(k.seconds)} in all\n${k.lines.join("  ")}` });
  }
  const note = data.roofline ? "" : "<p class='hint'>This machine's roofline was not measured: the points stand without it.</p>";
  $("roofline").innerHTML = `${note}<svg viewBox="0 0 ${w} ${h}" role="img" aria-label="roofline of all kernels">${made}</svg>`;
}

function drawMemory() {
  if (!data.plans.length) return;
  const { memory, kernels } = plan();
  const outputs = memory.outputs.reduce((a, b) => a + b, 0);
  const facts = `<div class="toolbar"><span>arena ${bytes(memory.arena)}: values that live only inside the plan share it</span><span>outputs ${bytes(outputs)}</span><span>scratch ${bytes(memory.scratch)} a thread</span></div>`;
  if (!memory.places.length) return void ($("memory").innerHTML = `${facts}<p class='none'>This plan keeps nothing between its kernels.</p>`);
  const box = $("memory").getBoundingClientRect();
  const w = Math.max(500, box.width - 36), h = Math.max(300, box.height - 70);
  const [left, right, top, bottom] = [78, w - 16, 14, h - 40];
  const step = (right - left) / kernels.length;
  const py = (offset) => top + ((bottom - top) * offset) / memory.arena;
  let made = "";
  for (let i = 0; i <= 4; i++) {
    const at = (memory.arena * i) / 4;
    made += svg("line", { class: "axis", x1: left, x2: right, y1: py(at), y2: py(at) });
    made += svg("text", { x: left - 8, y: py(at) + 4, "text-anchor": "end" }, bytes(Math.round(at)));
  }
  const every = Math.ceil(kernels.length / 20);
  for (let i = 0; i < kernels.length; i += every) made += svg("text", { x: left + (i + 0.5) * step, y: bottom + 16, "text-anchor": "middle" }, i);
  made += svg("text", { x: (left + right) / 2, y: h - 6, "text-anchor": "middle" }, "kernels, in the order in which they run");
  for (const place of memory.places) {
    const first = Math.min(...place.kernels), last = Math.max(...place.kernels);
    const isChosen = first === state.kernel;
    const height = Math.max(2, py(place.offset + place.bytes) - py(place.offset) - 1);
    const label = height > 15 && (last - first + 1) * step > 60 ? svg("text", { x: left + first * step + 7, y: py(place.offset) + 14, style: "pointer-events:none" }, place.text.slice(0, Math.floor(((last - first + 1) * step) / 7))) : "";
    made += svg("rect", { class: `mark${isChosen ? " chosen" : ""}`, x: left + first * step + 0.5, y: py(place.offset), width: Math.max(2, (last - first + 1) * step - 1), height, rx: 3, fill: colour(first, 0.6),
      "data-plan": state.plan, "data-kernel": first, "data-tip": `${place.text}, ${bytes(place.bytes)} at byte ${place.offset}\nwritten by ${kernels[first].name} (${first})\nread last by ${kernels[last].name} (${last})` }) + label;
  }
  $("memory").innerHTML = `${facts}<svg viewBox="0 0 ${w} ${h}" role="img" aria-label="memory of the plan">${made}</svg>`;
}

for (const id of ["roofline", "memory"]) {
  $(id).addEventListener("click", ({ target }) => {
    if (target.dataset.kernel) select(Number(target.dataset.kernel), -1, Number(target.dataset.plan));
  });
  $(id).addEventListener("mousemove", (event) => {
    if (event.target.dataset.tip) showTip(event, event.target.dataset.tip);
    else hideTip();
  });
  $(id).addEventListener("mouseleave", hideTip);
}
