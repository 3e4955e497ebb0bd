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

function sourceAround(line) {
  const cut = line.lastIndexOf(":");
  const [file, number] = [line.slice(0, cut), Number(line.slice(cut + 1))];
  const text = data.files[file];
  if (!text || number > text.length) return `<p class="file">${escaped(line)}</p>`;
  const first = Math.max(1, number - 3), last = Math.min(text.length, number + 3);
  let rows = "";
  for (let i = first; i <= last; i++)
    rows += `<div${i === number ? ' class="here"' : ""}><span class="n">${i}</span>${escaped(text[i - 1])}</div>`;
  return `<p class="file">${escaped(line)}</p><div class="code">${rows}</div>`;
}

const facts = (rows) => `<dl>${rows.map(([k, v]) => `<dt>${k}</dt><dd>${v}</dd>`).join("")}</dl>`;
const kernelLink = (k) => `<a data-kernel="${k.number}" data-plan="${k.plan.number}"><span class="dot" style="background:${colour(k.number)}"></span>${escaped(k.name)}</a>`;
const nodeLink = (n) => `<a data-node="${n}">${escaped(plan().nodes[n].name)}</a>`;
const links = (items) => items.slice(0, 12).map(nodeLink).join(", ") + (items.length > 12 ? ` and ${items.length - 12} more` : "");

function linesOf(lines) {
  if (!lines.length) return "<h3>Your line</h3><p class='kind'>not known: it came of no call of yours</p>";
  const shown = lines.slice(0, 6).map(sourceAround).join("");
  const rest = lines.slice(6).map((l) => `<p class="file">${escaped(l)}</p>`).join("");
  return `<h3>Your ${lines.length > 1 ? "lines" : "line"}</h3>${shown}${rest}`;
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
