/** Chart.js plugins: what is shaded behind the lines, and names at the lines' ends. */

const GAP_PX = 15;
const EDGE_PX = 4;
// A line that ends so far from the edge is named where it ends.
const INSIDE_PX = 40;

/** Shade incidents, silences and maintenance; the list below the charts names them. */
export const bands = {
  id: "bands",
  beforeDatasetsDraw(chart, _args, options) {
    const { ctx, chartArea: area, scales } = chart;
    ctx.save();
    for (const mark of options.marks ?? []) {
      const left = Math.max(area.left, scales.x.getPixelForValue(mark.start));
      const right = Math.min(area.right, scales.x.getPixelForValue(mark.end));
      if (right >= area.left && left <= area.right) {
        ctx.fillStyle = mark.shade;
        ctx.globalAlpha = 0.16;
        ctx.fillRect(left, area.top, Math.max(2, right - left), area.bottom - area.top);
        ctx.globalAlpha = 0.9;
        ctx.fillRect(left, area.top, Math.max(2, right - left), 3);
      }
    }
    ctx.restore();
  },
};

function ends(chart) {
  const found = [];
  chart.data.datasets.forEach((dataset, place) => {
    const points = chart.getDatasetMeta(place).data;
    const last = dataset.data.findLastIndex((point) => point.y !== null);
    if (last >= 0 && !dataset.isEcho) {
      found.push({ label: dataset.label, shade: dataset.borderColor, x: points[last].x, y: points[last].y });
    }
  });
  return found.sort((one, other) => one.y - other.y);
}

/** Put names at the right edge, or above the end of a line that stops before it. */
function placed(chart, width) {
  const right = chart.chartArea.right;
  const taken = [];
  // From the lowest up: pushed down, the names of lines near zero would leave the canvas.
  for (const end of ends(chart).reverse()) {
    const isInside = right - end.x > INSIDE_PX;
    const spot = { ...end, x: isInside ? end.x - EDGE_PX : right + EDGE_PX, y: isInside ? end.y - GAP_PX : end.y };
    const meets = (other) => Math.abs(spot.y - other.y) < GAP_PX && spot.x < other.x + other.width && other.x < spot.x + spot.width;
    spot.width = width(end.label);
    while (taken.some(meets)) {
      spot.y -= 1;
    }
    taken.push(spot);
  }
  // Three that end at the top were pushed out of the canvas.
  const over = GAP_PX / 2 - Math.min(...taken.map((spot) => spot.y));
  if (over > 0) {
    taken.filter((spot) => spot.y < chart.height / 2).forEach((spot) => (spot.y += over));
  }
  return taken;
}

/** Write each line's name where it ends, pushed apart where two ends meet. */
export const names = {
  id: "names",
  afterDatasetsDraw(chart, _args, options) {
    if (!options.shown) {
      return;
    }
    const { ctx } = chart;
    ctx.save();
    ctx.font = options.font;
    ctx.textBaseline = "middle";
    for (const spot of placed(chart, (label) => ctx.measureText(label).width)) {
      ctx.fillStyle = spot.shade;
      ctx.fillText(spot.label, spot.x, spot.y);
    }
    ctx.restore();
  },
};
