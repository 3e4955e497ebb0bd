// In a worker, below dagre: places for nodes, whose sizes and edges come in a message. What has a
// parent is laid out inside it, then the parents among each other, as boxes of the size that takes.
const PADDING = 14, TITLE = 18;

function arranged(nodes, edges, gap) {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "TB", nodesep: gap, ranksep: gap * 1.5,
                   ranker: nodes.length > 400 ? "longest-path" : "network-simplex" });
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
