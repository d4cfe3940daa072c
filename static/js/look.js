/**
 * How the pages look: light, dark or as the system, and in which time zone.
 *
 * Both are cookies, so that the server draws the page right at once and nothing flashes.
 */

const THEMES = ["", "light", "dark"];
const WORDS = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const YEAR_S = 365 * 24 * 3600;

function nextOf(theme) {
  return THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
}

function setTheme(theme) {
  const root = document.documentElement;
  root.dataset.theme = theme;
  const secure = window.location.protocol === "https:" ? "; secure" : "";
  document.cookie = `theme=${theme}; path=/; max-age=${YEAR_S}; samesite=lax${secure}`;
  nameAll();
  document.dispatchEvent(new Event("gatewatch:theme"));
}

function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

/** Go to the same page in the other zone: local from UTC, UTC from anywhere else. */
function switchZone(from) {
  const address = new URL(window.location.href);
  address.searchParams.set("zone", from === "UTC" ? ownZone() : "UTC");
  window.location.assign(address);
}

function nameAll() {
  const theme = document.documentElement.dataset.theme ?? "";
  document.querySelectorAll("[data-theme-switch]").forEach((button) => {
    button.textContent = WORDS[theme] ?? WORDS[""];
  });
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-theme-switch]")) {
    setTheme(nextOf(document.documentElement.dataset.theme ?? ""));
  }
  const zone = event.target.closest("[data-zone-switch]");
  if (zone) {
    switchZone(zone.dataset.zoneSwitch);
  }
});

nameAll();
