// All kernels in a table that any of its columns sorts.
const COLUMNS = [
  ["kernel", (k) => k.name, (k) => `<span class="dot" style="background:${colour(k.number)}"></span>${escaped(k.name)}`, "left"],
  ["plan", (k) => k.plan.number * 1e5 + k.number, (k) => `${k.plan.number}.${k.number}`],
  ["your lines", (k) => k.lines.join(" "), (k) => `<span title="${escaped(k.lines.join("\n"))}">${escaped(k.lines.map((l) => l.split("/").pop()).join("  "))}</span>`, "left lines"],
  ["runs", (k) => k.runs, (k) => k.runs],
  ["total", (k) => k.seconds, (k) => bar(k.seconds, longest()) + seconds(k.seconds)],
  ["each", (k) => k.seconds / (k.runs || 1), (k) => (k.runs ? seconds(k.seconds / k.runs) : "–")],
  ["GFLOP/s", (k) => rates(k).flops, (k) => (k.seconds ? (rates(k).flops / 1e9).toFixed(2) : "–")],
  ["GB/s", (k) => rates(k).bytes, (k) => (k.seconds ? (rates(k).bytes / 1e9).toFixed(2) : "–")],
  ["of roofline", (k) => rates(k).share ?? -1, (k) => shareText(rates(k).share)],
  ["operations", (k) => k.operations, (k) => count(k.operations)],
  ["bytes", (k) => k.bytes, (k) => bytes(k.bytes)],
  ["threads", (k) => Number(k.parallel), (k) => (k.parallel ? "all" : "1")],
];
const table = { by: 4, down: true };
const longest = () => Math.max(...allKernels.map((k) => k.seconds), 1e-12);
const bar = (x, most) => `<span class="bar"><i style="width:${(100 * x) / most}%"></i></span>`;

function drawTable() {
  const wanted = $("filter").value.trim().toLowerCase();
  const key = COLUMNS[table.by][1];
  const rows = allKernels.filter((k) => ($("all-plans").checked || k.plan === plan())
    && `${k.name} ${k.lines.join(" ")}`.toLowerCase().includes(wanted));
  rows.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    return (x < y ? -1 : x > y ? 1 : 0) * (table.down ? -1 : 1);
  });
  const titles = COLUMNS.map(([name, , , kind], i) => `<th class="${kind || ""}" data-column="${i}" aria-sort="${i === table.by ? (table.down ? "descending" : "ascending") : "none"}">${name}${i === table.by ? (table.down ? " ↓" : " ↑") : ""}</th>`);
  const body = rows.map((k) => {
    const isChosen = k.plan.number === state.plan && k.number === state.kernel;
    return `<tr data-plan="${k.plan.number}" data-kernel="${k.number}"${isChosen ? ' class="selected"' : ""}>${COLUMNS.map(([, , shown, kind]) => `<td class="${kind || ""}">${shown(k)}</td>`).join("")}</tr>`;
  });
  $("table").innerHTML = `<thead><tr>${titles.join("")}</tr></thead><tbody>${body.join("")}</tbody>`;
}
$("table").onclick = (event) => {
  const title = event.target.closest("th"), row = event.target.closest("tr[data-kernel]");
  if (title) {
    const by = Number(title.dataset.column);
    Object.assign(table, { by, down: by === table.by ? !table.down : by > 2 });
    drawTable();
  } else if (row) select(Number(row.dataset.kernel), -1, Number(row.dataset.plan));
};
$("filter").oninput = $("all-plans").onchange = drawTable;
