"use strict";
// What the page says without it, sooner at hand: the means of a chart at the pointer or the arrow keys, and one tab stop
// for the empty cells of a table, between which the arrow keys go.
const [WIDTH, LEFT, RIGHT] = [380, 48, 10];
for (const plot of document.querySelectorAll(".plot")) {
  const lines = [...plot.querySelectorAll("path.line")].map((line) => ({
    name: line.dataset.name,
    points: line.dataset.points.split(" ").map((pair) => pair.split(",").map(Number)),
  }));
  if (!lines.length) continue;
  const svg = plot.querySelector("svg");
  const steps = lines.reduce((most, line) => (line.points.length > most.length ? line.points : most), []).map((p) => p[0]);
  const right = Math.max(...lines.map((line) => line.points[line.points.length - 1][0])) || 1;
  const rule = document.createElementNS("http://www.w3.org/2000/svg", "path");
  rule.setAttribute("class", "pointer");
  const told = document.createElement("p");
  told.className = "told soft";
  told.setAttribute("aria-live", "polite");
  plot.append(told);
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", svg.getAttribute("aria-label") + ": left and right arrows read the values");
  let at = steps.length - 1;
  const near = (points, x) => points.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
  const show = (x) => {
    svg.append(rule);
    rule.setAttribute("d", `M${LEFT + ((WIDTH - LEFT - RIGHT) * x) / right} 10V202`);
    told.textContent = `at ${x.toLocaleString("en")}: ` + lines.map((line) => `${line.name} ${near(line.points, x)[1]}`).join(", ");
  };
  plot.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = (((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    at = steps.indexOf(near(steps.map((s) => [s]), x * right)[0]);
    show(steps[at]);
  });
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.min(Math.max(at + step, 0), steps.length - 1);
    show(steps[at]);
  });
}
for (const hint of document.querySelectorAll(".by-script")) hint.hidden = false;
for (const table of document.querySelectorAll("table.matrix")) {
  const cells = [...table.querySelectorAll("td.none")];
  for (const cell of cells) cell.tabIndex = cell === cells[0] ? 0 : -1;
  table.addEventListener("keydown", (event) => {
    const from = cells.indexOf(event.target);
    const column = cells.filter((cell) => from >= 0 && cell.cellIndex === cells[from].cellIndex);
    const beside = (list, step) => list[list.indexOf(cells[from]) + step];
    const to = {
      ArrowLeft: () => beside(cells, -1),
      ArrowRight: () => beside(cells, 1),
      ArrowUp: () => beside(column, -1) ?? beside(cells, -1),
      ArrowDown: () => beside(column, 1) ?? beside(cells, 1),
      Home: () => cells[0],
      End: () => cells[cells.length - 1],
    }[event.key];
    if (from < 0 || !to) return;
    event.preventDefault();
    for (const cell of cells) cell.tabIndex = -1;
    const next = to() ?? cells[from];
    next.tabIndex = 0;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}
