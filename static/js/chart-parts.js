/** Chart.js plugins: what is shaded behind the lines, and names at the lines' ends. */

const GAP_PX = 13;
const EDGE_PX = 4;

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
      found.push({ label: dataset.label, shade: dataset.borderColor, y: points[last].y });
    }
  });
  return found.sort((one, other) => one.y - other.y);
}

/** Write each line's name where it ends, pushed apart where two ends meet. */
export const names = {
  id: "names",
  afterDatasetsDraw(chart, _args, options) {
    if (!options.shown) {
      return;
    }
    const { ctx, chartArea: area } = chart;
    ctx.save();
    ctx.font = options.font;
    ctx.textBaseline = "middle";
    let above = -Infinity;
    for (const end of ends(chart)) {
      const y = Math.max(end.y, above + GAP_PX);
      ctx.fillStyle = end.shade;
      ctx.fillText(end.label, area.right + EDGE_PX, y);
      above = y;
    }
    ctx.restore();
  },
};
