/** The times on a chart's axis and in its tips, in the zone that the page is read in. */

const DAY_MS = 86400000;
const STEPS_MS = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14400].map((m) => m * 60000);

export function clock(ms, spec) {
  const isLong = spec.end - spec.start > 2 * DAY_MS;
  const options = isLong ? { day: "numeric", month: "short" } : { hour: "2-digit", minute: "2-digit", hour12: false };
  return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: spec.zone }).format(ms);
}

export function exact(ms, spec) {
  const options = { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: spec.zone };
  return `${new Intl.DateTimeFormat("en-GB", options).format(ms)} ${spec.zone}`;
}

/** Put the ticks on whole hours or days of the zone that the page is read in. */
export function tickTimes(axis, offset) {
  const span = axis.max - axis.min;
  const most = axis.chart.width < 480 ? 4 : 8;
  const step = STEPS_MS.find((each) => span / each <= most) ?? Math.ceil(span / most / DAY_MS) * DAY_MS;
  const ticks = [];
  for (let at = Math.ceil((axis.min + offset) / step) * step - offset; at <= axis.max; at += step) {
    ticks.push({ value: at });
  }
  axis.ticks = ticks;
}
