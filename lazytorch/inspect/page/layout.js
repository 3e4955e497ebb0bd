// In a worker, below dagre: places for nodes, whose sizes and edges come in a message. What has a
// parent is laid out inside it, then the parents among each other, as boxes of the size that takes.
const PADDING = 14, TITLE = 18;

// In ranks by their longest path from a source, each under the middle of what it reads: dagre
// finds fewer crossings, but takes minutes for thousands of nodes.
function inRanks(nodes, edges, gap) {
  const sources = new Map(nodes.map((n) => [n.id, []])), waiting = new Map(nodes.map((n) => [n.id, 0]));
  const readers = new Map(nodes.map((n) => [n.id, []]));
  for (const [from, to] of edges) {
    sources.get(to).push(from);
    readers.get(from).push(to);
    waiting.set(to, waiting.get(to) + 1);
  }
  const rank = new Map(), ready = nodes.filter((n) => !waiting.get(n.id)).map((n) => n.id);
  for (const id of ready) {
    rank.set(id, Math.max(-1, ...sources.get(id).map((s) => rank.get(s))) + 1);
    for (const to of readers.get(id)) {
      waiting.set(to, waiting.get(to) - 1);
      if (!waiting.get(to)) ready.push(to);
    }
  }
  for (const id of ready.reverse()) // what reads nothing stands right above its first reader
    if (!sources.get(id).length && readers.get(id).length)
      rank.set(id, Math.min(...readers.get(id).map((r) => rank.get(r))) - 1);
  const rows = new Map(), places = new Map();
  for (const n of nodes) rows.set(rank.get(n.id), [...(rows.get(rank.get(n.id)) || []), n]);
  let y = 0, width = 0;
  for (const r of [...rows.keys()].sort((a, b) => a - b)) {
    const middle = (ids) => ids.reduce((sum, s) => sum + places.get(s).x, 0) / ids.length;
    const row = rows.get(r).map((n) => {
      const above = sources.get(n.id).filter((s) => places.has(s));
      return { n, wanted: above.length ? middle(above) : 0 };
    });
    row.sort((a, b) => a.wanted - b.wanted);
    const height = Math.max(...row.map(({ n }) => n.height));
    const total = row.reduce((sum, { n }) => sum + n.width + gap, -gap);
    let x = row.reduce((sum, { wanted }) => sum + wanted, 0) / row.length - total / 2;
    for (const { n } of row) {
      places.set(n.id, { x: x + n.width / 2, y: y + height / 2 });
      x += n.width + gap;
    }
    y += height + gap * 2;
    width = Math.max(width, total);
  }
  const left = Math.min(...nodes.map((n) => places.get(n.id).x - n.width / 2));
  for (const place of places.values()) place.x -= left;
  return { places, width, height: y - gap * 2 };
}

const MOST = 400; // nodes that dagre lays out

function arranged(nodes, edges, gap) {
  if (nodes.length > MOST) return inRanks(nodes, edges, gap);
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "TB", nodesep: gap, ranksep: gap * 1.5 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const n of nodes) graph.setNode(n.id, { width: n.width, height: n.height });
  for (const [from, to] of edges) graph.setEdge(from, to);
  dagre.layout(graph);
  const places = new Map(nodes.map((n) => [n.id, { x: graph.node(n.id).x, y: graph.node(n.id).y }]));
  return { places, width: graph.graph().width, height: graph.graph().height };
}

onmessage = (message) => {
  const { id, nodes, edges, gap } = message.data;
  const inside = new Map();
  const parent = new Map(nodes.map((n) => [n.id, n.parent || n.id]));
  for (const n of nodes) if (n.parent) inside.set(n.parent, [...(inside.get(n.parent) || []), n]);
  const own = new Map([...inside.keys()].map((k) => [k, []])), outer = new Map();
  for (const [from, to] of edges) {
    const [a, b] = [parent.get(from), parent.get(to)];
    if (a === b) own.get(a).push([from, to]);
    else outer.set(`${a}>${b}`, [a, b]);
  }
  const boxes = new Map([...inside].map(([k, members]) => [k, arranged(members, own.get(k), gap * 0.7)]));
  const sized = nodes.filter((n) => !n.parent).map((n) => {
    const box = boxes.get(n.id);
    return box ? { id: n.id, width: box.width + 2 * PADDING, height: box.height + 2 * PADDING + TITLE } : n;
  });
  const { places: tops } = arranged(sized, [...outer.values()], gap);
  const places = Object.fromEntries(tops);
  for (const n of sized) {
    const box = boxes.get(n.id);
    if (!box) continue;
    const at = tops.get(n.id);
    for (const [member, place] of box.places)
      places[member] = { x: at.x - box.width / 2 + place.x, y: at.y - box.height / 2 + TITLE / 2 + place.y };
  }
  postMessage({ id, places });
};
