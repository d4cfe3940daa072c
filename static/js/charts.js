/** Draw each canvas[data-chart] from the JSON script whose id it names; redraw on change. */

import { bands, names } from "./chart-parts.js";
import { choose } from "./chart-choice.js";
import { clock, exact, tickTimes } from "./chart-times.js";

const drawn = new Map();
const swatch = document.body.appendChild(document.createElement("i"));
swatch.hidden = true;

/** Resolve a token as the theme has it; the property alone would be "light-dark(…)". */
function colour(name) {
  swatch.style.color = `var(--${name})`;
  return getComputedStyle(swatch).color;
}

function dataset(line, spec) {
  const shade = colour(line.colour);
  const isBar = spec.kind === "bar";
  const isThin = (place) => (spec.counts[place] ?? 0) < spec.thin;
  return {
    label: line.label,
    isEcho: line.is_echo,
    // The time before is a dashed line over the bars, too.
    type: line.is_echo ? "line" : spec.kind,
    order: line.is_echo ? 0 : 1,
    pointStyle: line.is_echo ? "line" : isBar ? "rect" : "circle",
    data: line.points.map(([x, y]) => ({ x: isBar ? x + spec.step / 2 : x, y })),
    borderColor: shade,
    backgroundColor: line.fills ? shade.replace("rgb(", "rgba(").replace(")", ", 0.18)") : shade,
    fill: line.fills ? "-1" : false,
    showLine: !line.is_dots,
    pointBackgroundColor: line.points.map((_, place) => (isThin(place) ? colour("sheet") : shade)),
    borderDash: line.dash,
    borderWidth: line.is_echo ? 1.5 : isBar ? 0 : 2,
    pointRadius: line.is_dots ? 5 : line.is_echo || line.points.length > 100 ? 0 : 1.5,
    pointHitRadius: 8,
    spanGaps: false,
    barThickness: "flex",
    categoryPercentage: 1,
    barPercentage: 0.9,
  };
}

/** Name the bars and the time before; other lines have their names at their ends. */
function legend(spec, ink) {
  const isNamed = (item, all) => spec.kind === "bar" || all.datasets[item.datasetIndex].isEcho;
  const labels = { color: ink, boxHeight: 8, padding: 8, usePointStyle: true, pointStyleWidth: 16, filter: isNamed };
  return { display: spec.kind === "bar" || spec.lines.some((line) => line.is_echo), position: "bottom", labels };
}

function tooltip(spec) {
  const start = (item) => item.parsed.x - (spec.kind === "bar" ? spec.step / 2 : 0);
  const marks = (at) => spec.marks.filter((mark) => mark.start < at + spec.step && mark.end > at);
  return {
    callbacks: {
      title: (items) => exact(start(items[0]), spec),
      label: (item) => ` ${item.dataset.label}: ${item.formattedValue}${spec.unit}`,
      footer: (items) => {
        const count = spec.counts[items[0].dataIndex];
        const basis = count === undefined ? [] : [`n = ${count}${count < spec.thin ? ", too few to be sure" : ""}`];
        return [...basis, ...marks(start(items[0])).map((mark) => `${mark.kind}: ${mark.label}`.slice(0, 60))];
      },
    },
  };
}

function options(spec, canvas) {
  const ink = colour("ink-soft");
  const grid = { color: colour("chart-grid") };
  const stacked = spec.kind === "bar";
  return {
    animation: false,
    maintainAspectRatio: false,
    parsing: true,
    layout: { padding: { right: stacked ? 0 : Math.max(...spec.lines.filter((line) => !line.is_echo).map((line) => line.label.length)) * 7 + 8 } },
    interaction: { mode: "index", intersect: false },
    plugins: {
      legend: legend(spec, ink),
      tooltip: tooltip(spec),
      bands: { marks: spec.marks.map((mark) => ({ ...mark, shade: colour(mark.tone) })) },
      names: { shown: !stacked, font: `12px ${getComputedStyle(canvas).fontFamily}` },
    },
    scales: {
      x: {
        type: "linear",
        min: spec.start,
        max: spec.end,
        offset: false,
        stacked,
        grid: { display: false },
        border: grid,
        afterBuildTicks: (axis) => tickTimes(axis, spec.offset),
        ticks: { color: ink, maxRotation: 0, autoSkip: false, callback: (value) => clock(value, spec) },
      },
      y: {
        beginAtZero: true,
        stacked,
        grid,
        border: { display: false },
        ticks: { color: ink, maxTicksLimit: 5, precision: stacked ? 0 : undefined, callback: (value) => `${value.toLocaleString("en-GB")}${spec.unit}` },
      },
    },
  };
}

function draw(canvas) {
  const text = document.getElementById(canvas.dataset.chart)?.textContent ?? "";
  const old = drawn.get(canvas);
  if (!text || (old && old.text === text)) {
    return;
  }
  const spec = JSON.parse(text);
  if (old) {
    forget(canvas);
  }
  const chart = new window.Chart(canvas, {
    type: spec.kind,
    data: { datasets: spec.lines.map((line) => dataset(line, spec)) },
    options: options(spec, canvas),
    plugins: [bands, names],
  });
  drawn.set(canvas, { chart, text, ignore: choose(chart, spec) });
  canvas.dataset.ready = "true";
}

function forget(canvas) {
  const old = drawn.get(canvas);
  old.ignore();
  old.chart.destroy();
  drawn.delete(canvas);
}

export function drawAll() {
  [...drawn.keys()].filter((canvas) => !canvas.isConnected).forEach(forget);
  document.querySelectorAll("canvas[data-chart]").forEach(draw);
}

function redrawAll() {
  [...drawn.keys()].forEach(forget);
  drawAll();
}

/** Paper is light and narrow, and no chart resizes itself for it. */
const PAPER_PX = [640, 200];
let screenTheme = "";

function drawForPaper() {
  screenTheme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  redrawAll();
  drawn.forEach(({ chart }) => chart.resize(...PAPER_PX));
}

function drawForScreen() {
  document.documentElement.dataset.theme = screenTheme;
  redrawAll();
}

drawAll();
window.addEventListener("beforeprint", drawForPaper);
window.addEventListener("afterprint", drawForScreen);
document.addEventListener("htmx:after:swap", drawAll);
document.addEventListener("gatewatch:theme", redrawAll);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
