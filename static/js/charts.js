/** Draw each canvas[data-chart] from the JSON script whose id it names; redraw on change. */

const drawn = new Map();
const swatch = document.body.appendChild(document.createElement("i"));
swatch.hidden = true;
const DAY_MS = 86400000;
const STEPS_MS = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200].map((m) => m * 60000);

/** Resolve a token as the theme has it; the property alone would be "light-dark(…)". */
function colour(name) {
  swatch.style.color = `var(--${name})`;
  return getComputedStyle(swatch).color;
}

function clock(ms, spanMs) {
  const options = spanMs > 2 * DAY_MS
    ? { day: "numeric", month: "short", timeZone: "UTC" }
    : { hour: "2-digit", minute: "2-digit", hour12: false, timeZone: "UTC" };
  return new Intl.DateTimeFormat("en-GB", options).format(ms);
}

function exact(ms) {
  const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" };
  return `${new Intl.DateTimeFormat("en-GB", options).format(ms)} UTC`;
}

function tickTimes(axis) {
  const span = axis.max - axis.min;
  const most = axis.chart.width < 480 ? 4 : 8;
  const step = STEPS_MS.find((each) => span / each <= most) ?? Math.ceil(span / most / DAY_MS) * DAY_MS;
  const ticks = [];
  for (let at = Math.ceil(axis.min / step) * step; at <= axis.max; at += step) {
    ticks.push({ value: at });
  }
  axis.ticks = ticks;
}

function dataset(line, spec) {
  const shade = colour(line.colour);
  return {
    label: line.label,
    data: line.points.map(([x, y]) => ({ x: spec.kind === "bar" ? x + spec.step / 2 : x, y })),
    borderColor: shade,
    backgroundColor: shade,
    borderDash: line.dash,
    borderWidth: spec.kind === "bar" ? 0 : 2,
    pointRadius: line.points.length > 100 ? 0 : 1.5,
    pointHitRadius: 8,
    spanGaps: false,
    barThickness: "flex",
    categoryPercentage: 1,
    barPercentage: 0.9,
  };
}

function options(spec) {
  const ink = colour("ink-soft");
  const grid = { color: colour("chart-grid") };
  const stacked = spec.kind === "bar";
  return {
    animation: false,
    maintainAspectRatio: false,
    parsing: true,
    interaction: { mode: "index", intersect: false },
    plugins: {
      legend: { position: "bottom", labels: { color: ink, boxWidth: 14, boxHeight: 2, padding: 8 } },
      tooltip: {
        callbacks: {
          title: (items) => exact(items[0].parsed.x - (stacked ? spec.step / 2 : 0)),
          label: (item) => ` ${item.dataset.label}: ${item.formattedValue}${spec.unit}`,
        },
      },
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
        afterBuildTicks: tickTimes,
        ticks: { color: ink, maxRotation: 0, autoSkip: false, callback: (value) => clock(value, spec.end - spec.start) },
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
  old?.chart.destroy();
  const chart = new window.Chart(canvas, {
    type: spec.kind,
    data: { datasets: spec.lines.map((line) => dataset(line, spec)) },
    options: options(spec),
  });
  drawn.set(canvas, { chart, text });
  canvas.dataset.ready = "true";
}

export function drawAll() {
  for (const [canvas, { chart }] of drawn) {
    if (!canvas.isConnected) {
      chart.destroy();
      drawn.delete(canvas);
    }
  }
  document.querySelectorAll("canvas[data-chart]").forEach(draw);
}

function redrawAll() {
  drawn.forEach((each) => each.chart.destroy());
  drawn.clear();
  drawAll();
}

drawAll();
document.addEventListener("htmx:after:swap", drawAll);
document.addEventListener("gatewatch:theme", redrawAll);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
