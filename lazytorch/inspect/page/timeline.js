// When what ran, in which thread, and the memory in use: drawn on a canvas, which takes many spans.
const ROW = 17;
const KINDS = { realize: [220, 12], trace: [260, 28], lower: [28, 45], pass: [28, 30], load: [190, 30], compile: [350, 45], plan: [215, 22], interpret: [300, 30], transfer: [180, 45], user: [95, 35], step: [95, 20] };
const timeline = { from: 0, to: 1, rows: [], end: 1 };

function prepareTimeline() {
  const { spans, threads, memory } = data.timeline;
  const order = Object.keys(threads).filter((t) => spans.some((s) => String(s[2]) === t));
  order.sort((a, b) => (Number(a) < 0) - (Number(b) < 0) || Number(b) - Number(a));
  let row = memory.length ? 4 : 0;
  timeline.labels = memory.length ? [[0, "memory in use"]] : [];
  timeline.items = [];
  for (const thread of order) {
    const open = [];
    let deepest = 0;
    timeline.labels.push([row, threads[thread]]);
    for (const s of spans) {
      if (String(s[2]) !== thread) continue;
      while (open.length && open[open.length - 1] <= s[3] + 1e-3) open.pop();
      timeline.items.push({ s, row: row + open.length });
      open.push(s[3] + s[4]);
      deepest = Math.max(deepest, open.length);
    }
    row += deepest + 1;
  }
  timeline.rowCount = row;
  timeline.end = Math.max(1, ...spans.map((s) => s[3] + s[4]), ...memory.map((m) => m[0]));
  timeline.to = timeline.end;
}

function fillOf([, category, , , , planNumber, kernel]) {
  if (category === "kernel" || category === "share") return colour(Math.max(0, kernel));
  const [hue, saturation] = KINDS[category] || [210, 10];
  return `hsl(${hue}, ${saturation}%, ${dark() ? 34 : 80}%)`;
}

function drawTimeline() {
  const canvas = $("spans"), box = canvas.getBoundingClientRect();
  if (!box.width) return;
  const scale = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: box.width * scale, height: box.height * scale });
  const paint = canvas.getContext("2d");
  paint.scale(scale, scale);
  paint.font = "11px system-ui, sans-serif";
  paint.textBaseline = "middle";
  const { from, to } = timeline, left = 118, width = box.width - left - 12;
  const x = (t) => left + (width * (t - from)) / (to - from);
  timeline.x = x;
  timeline.time = (px) => from + ((px - left) / width) * (to - from);
  timeline.top = 30;
  const y = (row) => timeline.top + row * ROW - (timeline.scroll || 0);
  const text = shade("text"), muted = shade("muted"), line = shade("line");
  paint.save();
  paint.beginPath();
  paint.rect(left, 24, width + 12, box.height);
  paint.clip();
  const { memory } = data.timeline;
  if (memory.length) {
    const most = Math.max(...memory.map((m) => m[1]), 1), base = y(4) - 6, height = 3 * ROW;
    paint.beginPath();
    paint.moveTo(x(memory[0][0]), base);
    let before = 0;
    for (const [at, n] of memory) {
      paint.lineTo(x(at), base - (height * before) / most);
      paint.lineTo(x(at), base - (height * n) / most);
      before = n;
    }
    paint.lineTo(x(timeline.end), base - (height * before) / most);
    paint.lineTo(x(timeline.end), base);
    paint.globalAlpha = 0.3;
    paint.fillStyle = shade("accent");
    paint.fill();
    paint.globalAlpha = 1;
    paint.fillStyle = muted;
    paint.fillText(`most: ${bytes(most)}`, left + 6, base - height + 4);
  }
  for (const item of timeline.items) {
    const [name, , , begin, length, planNumber, kernel] = item.s;
    if (begin + length < from || begin > to) continue;
    const a = Math.max(x(begin), left - 2), w = Math.max(0.8, Math.min(x(begin + length), box.width) - a - 0.4);
    paint.fillStyle = fillOf(item.s);
    paint.fillRect(a, y(item.row), w, ROW - 2);
    if (kernel >= 0 && kernel === state.kernel && planNumber === state.plan) {
      paint.strokeStyle = text;
      paint.lineWidth = 1.5;
      paint.strokeRect(a, y(item.row), w, ROW - 2);
    }
    if (w > 34) {
      paint.save();
      paint.beginPath();
      paint.rect(a, y(item.row), w - 3, ROW);
      paint.clip();
      paint.fillStyle = text;
      paint.fillText(name, a + 4, y(item.row) + ROW / 2);
      paint.restore();
    }
  }
  paint.restore();
  const tick = 10 ** Math.floor(Math.log10((to - from) / 3));
  for (let t = Math.ceil(from / tick) * tick; t <= to; t += tick * ((to - from) / tick > 12 ? 5 : 1)) {
    paint.strokeStyle = line;
    paint.beginPath();
    paint.moveTo(x(t), 20);
    paint.lineTo(x(t), 25);
    paint.stroke();
    paint.fillStyle = muted;
    paint.textAlign = "center";
    paint.fillText(axisText(t, tick), Math.min(x(t), box.width - 30), 11);
  }
  paint.textAlign = "left";
  for (const [row, name] of timeline.labels) {
    paint.fillStyle = muted;
    paint.fillText(name.slice(0, 17), 10, y(row) + ROW / 2);
  }
}

// A time on the axis, with as many digits as its neighbours differ in.
function axisText(us, tick) {
  if (us === 0) return "0";
  const [unit, size] = us >= 1e6 && tick >= 1e3 ? ["s", 1e6] : us >= 1e3 ? ["ms", 1e3] : ["µs", 1];
  return `${(us / size).toFixed(Math.max(0, Math.ceil(Math.log10(size / tick) - 1e-9)))} ${unit}`;
}

function spanAt(event) {
  const box = $("spans").getBoundingClientRect();
  const t = timeline.time(event.clientX - box.left), slack = timeline.time(3) - timeline.time(1);
  const row = Math.floor((event.clientY - box.top - timeline.top + (timeline.scroll || 0)) / ROW);
  return timeline.items.find(({ s, row: r }) => r === row && t >= s[3] - slack && t <= s[3] + s[4] + slack);
}

function setWindow(from, to) {
  const least = 0.5, width = Math.max(least, Math.min(to - from, timeline.end));
  timeline.from = Math.max(0, Math.min(from, timeline.end - width));
  timeline.to = timeline.from + width;
  drawTimeline();
}

const spansCanvas = $("spans");
let dragged = null;
spansCanvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  if (event.shiftKey) {
    timeline.scroll = Math.max(0, Math.min((timeline.scroll || 0) + event.deltaY, timeline.rowCount * ROW));
    return drawTimeline();
  }
  const at = timeline.time(event.clientX - spansCanvas.getBoundingClientRect().left);
  const factor = Math.exp(event.deltaY * 0.0015);
  setWindow(at - (at - timeline.from) * factor, at + (timeline.to - at) * factor);
}, { passive: false });
spansCanvas.addEventListener("mousedown", (event) => { dragged = { x: event.clientX, from: timeline.from, to: timeline.to, moved: false }; });
window.addEventListener("mouseup", () => { setTimeout(() => { dragged = null; }); });
spansCanvas.addEventListener("mousemove", (event) => {
  if (dragged) {
    const shift = timeline.time(dragged.x) - timeline.time(event.clientX);
    dragged.moved ||= Math.abs(event.clientX - dragged.x) > 3;
    dragged.x = event.clientX;
    return setWindow(timeline.from + shift, timeline.to + shift);
  }
  const found = spanAt(event);
  if (!found) return hideTip();
  const [name, category, , begin, length, , , place] = found.s;
  showTip(event, `${name} (${category})\n${seconds(length / 1e6)} from ${seconds(begin / 1e6)} on\n${place}`);
});
spansCanvas.addEventListener("mouseleave", hideTip);
spansCanvas.addEventListener("click", (event) => {
  if (dragged && dragged.moved) return;
  const found = spanAt(event);
  if (found && found.s[6] >= 0) select(found.s[6], -1, found.s[5]);
});
$("whole").onclick = () => setWindow(0, timeline.end);
prepareTimeline();
$("span-text").textContent = data.timeline.left_out ? `the first ${data.timeline.spans.length} spans; ${data.timeline.left_out} more are left out` : "";
