// The panel on the right: what is selected, its lines with the text around them, its source.
const WORDS = /(\/\*[\s\S]*?\*\/|\/\/.*|^#.*$)|("(?:\\.|[^"\\])*")|\b(\d[\w.]*)\b|\b(void|const|char|float|double|int|long|short|unsigned|signed|for|if|else|while|return|static|inline|struct|typedef|goto|switch|case|break|continue|restrict|enum|sizeof|__kernel|__global|kernel|global|local)\b/gm;
function coloured(text) {
  let made = "", at = 0;
  for (const match of text.matchAll(WORDS)) {
    const kind = match[1] ? "c" : match[2] ? "s" : match[3] ? "d" : "k";
    made += `${escaped(text.slice(at, match.index))}<span class="${kind}">${escaped(match[0])}</span>`;
    at = match.index + match[0].length;
  }
  return made + escaped(text.slice(at));
}

// Lines of one file that stand near each other are shown in one piece.
function sourceAround(lines) {
  const pieces = [];
  for (const line of lines) {
    const cut = line.lastIndexOf(":");
    const [file, number] = [line.slice(0, cut), Number(line.slice(cut + 1))];
    const near = pieces.find((p) => p.file === file && number >= p.first - 4 && number <= p.last + 4);
    if (near) Object.assign(near, { first: Math.min(near.first, number), last: Math.max(near.last, number), numbers: near.numbers.add(number) });
    else pieces.push({ file, first: number, last: number, numbers: new Set([number]) });
  }
  return pieces.map(({ file, first, last, numbers }, i) => {
    const title = `<p class="file">${escaped(file)}:${[...numbers].sort((a, b) => a - b).join(", ")}</p>`;
    const text = data.files[file];
    if (!text || last > text.length || i > 5) return title;
    let rows = "";
    for (let n = Math.max(1, first - 3); n <= Math.min(text.length, last + 3); n++)
      rows += `<div${numbers.has(n) ? ' class="here"' : ""}><span class="n">${n}</span>${escaped(text[n - 1])}</div>`;
    return `${title}<div class="code">${rows}</div>`;
  }).join("");
}

const facts = (rows) => `<dl>${rows.map(([k, v]) => `<dt>${k}</dt><dd>${v}</dd>`).join("")}</dl>`;
const kernelLink = (k) => `<a data-kernel="${k.number}" data-plan="${k.plan.number}"><span class="dot" style="background:${colour(k.number)}"></span>${escaped(k.name)}</a>`;
const nodeLink = (n) => `<a data-node="${n}">${escaped(plan().nodes[n].name)}</a>`;
const links = (items) => items.slice(0, 12).map(nodeLink).join(", ") + (items.length > 12 ? ` and ${items.length - 12} more` : "");

function linesOf(lines) {
  if (!lines.length) return "<h3>Your line</h3><p class='kind'>not known: it came of no call of yours</p>";
  return `<h3>Your ${lines.length > 1 ? "lines" : "line"}</h3>${sourceAround(lines)}`;
}

function kernelDetails(k) {
  const { flops, bytes: moved, share } = rates(k);
  const rows = [
    ["work", `${count(k.operations)} operations, ${bytes(k.bytes)} moved`],
    ["runs", k.runs ? `${k.runs}, ${seconds(k.seconds / k.runs)} each` : "not timed"],
    ["on", k.parallel ? "all threads" : "one thread"],
  ];
  if (k.seconds) rows.push(["reached", `${(flops / 1e9).toFixed(2)} GFLOP/s, ${(moved / 1e9).toFixed(2)} GB/s`]);
  if (share !== null) rows.push(["roofline", share > 1 ? "faster than memory: its values lay in a cache" : `${Math.round(100 * share)}% of what this machine reaches`]);
  if (k.nodes.length) rows.push(["computes", links(k.nodes)]);
  const why = k.unfused.length ? `<h3>Why it ends here</h3><ul>${k.unfused.map((u) => `<li>${escaped(u)}</li>`).join("")}</ul>` : "";
  return `<h2>${escaped(k.name)}</h2><div class="kind"><span class="dot" style="background:${colour(k.number)}"></span>kernel ${k.number} of plan ${k.plan.number}</div>
    ${facts(rows)}${linesOf(k.lines)}${why}
    <h3>Arguments</h3><ul>${k.arguments.map((a) => `<li>${escaped(a)}</li>`).join("")}</ul>
    <h3>Source</h3><pre class="code kernel">${coloured(k.source)}</pre>`;
}

function nodeDetails(number) {
  const node = plan().nodes[number];
  const rows = [["value", escaped(node.type)]];
  if (node.attributes) rows.push(["attributes", escaped(node.attributes)]);
  if (node.inputs.length) rows.push(["of", links(node.inputs)]);
  const computing = plan().kernels.filter((k) => k.nodes.includes(number));
  if (computing.length) rows.push(["kernel", computing.map(kernelLink).join(", ")]);
  const origin = plan().parameters.indexOf(number);
  if (origin >= 0) rows.push(["parameter", `number ${origin} of the plan`]);
  for (const step of plan().passes) {
    const later = step.replaced.find(([a]) => a === number), earlier = step.replaced.filter(([, b]) => b === number);
    if (later) rows.push(["replaced by", `${nodeLink(later[1])} in ${step.name}`]);
    if (earlier.length) rows.push(["stands for", `${links(earlier.map(([a]) => a))} since ${step.name}`]);
  }
  const kernel = computing[0];
  const source = kernel ? `<h3>Source of its kernel, ${kernelLink(kernel)}</h3><pre class="code kernel">${coloured(kernel.source)}</pre>` : "";
  return `<h2>${escaped(node.name)}</h2><div class="kind">${escaped(node.operation)}</div>${facts(rows)}${linesOf(node.lines)}${source}`;
}

function planDetails() {
  if (!data.plans.length) return "<h2>No plans</h2><p class='kind'>Nothing was computed on a device that compiles.</p>";
  const slow = [...plan().kernels].sort((a, b) => b.seconds - a.seconds).slice(0, 8).filter((k) => k.seconds);
  const total = plan().kernels.reduce((sum, k) => sum + k.seconds, 0) || 1;
  const most = slow.map((k) => `<li>${kernelLink(k)} <span style="color:var(--muted)">${seconds(k.seconds)}, ${Math.round((100 * k.seconds) / total)}%</span></li>`).join("");
  return `<h2>plan ${plan().number}</h2><div class="kind">${escaped(plan().name)}</div>
    <p class="kind">Click a kernel or a node to see your line and the generated source.</p>
    ${most ? `<h3>Where the time goes</h3><ul style="list-style:none;padding:0">${most}</ul>` : ""}`;
}

function showDetails() {
  $("details").innerHTML = state.node >= 0 ? nodeDetails(state.node)
    : state.kernel >= 0 ? kernelDetails(plan().kernels[state.kernel]) : planDetails();
  $("details").scrollTop = 0;
}
$("details").addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link) return;
  if (link.dataset.node) select(-1, Number(link.dataset.node));
  else select(Number(link.dataset.kernel), -1, Number(link.dataset.plan));
});
state.listeners.push(showDetails);
