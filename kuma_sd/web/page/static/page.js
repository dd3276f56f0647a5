"use strict";

// The page is whole without this script. With it, what changes is fetched again every few seconds while somebody looks:
// the same page, of which the parts that differ take the place of the old ones.

const PERIOD = 3000;
let timer, seen = Date.now();

function identityOf(element) {
  return element && (element.id || element.getAttribute("href") || element.getAttribute("aria-label"));
}

function isSelectedIn(part) {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && selection.containsNode(part, true);
}

function replace(part, fresh) {
  const focused = part.contains(document.activeElement) && identityOf(document.activeElement);
  const scrolled = [...part.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  part.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((one, place) => { one.scrollLeft = scrolled[place] || 0; });
  if (focused) {
    // Only the very same thing is focused again: a button beside it might do something else.
    const again = [...fresh.querySelectorAll("a, button, [tabindex]")].find((one) => identityOf(one) === focused);
    if (again) again.focus({ preventScroll: true });
  }
}

function show(page) {
  for (const part of document.querySelectorAll("main > [data-live], main > div > [data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh && !isSelectedIn(part) && fresh.outerHTML !== part.outerHTML) replace(part, document.adoptNode(fresh));
  }
  // What came or went since the page was loaded, like quarantined targets, needs the whole of it.
  const parts = (one) => [...one.querySelectorAll("[data-live]")].map((part) => part.id).join(" ");
  if (parts(page) !== parts(document)) document.getElementById("main").replaceWith(document.adoptNode(page.getElementById("main")));
  document.title = page.title;
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  const offline = document.getElementById("offline");
  try {
    const response = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10 * PERIOD) });
    if (!response.ok) throw new Error(String(response.status));
    show(new DOMParser().parseFromString(await response.text(), "text/html"));
    seen = Date.now();
    offline.hidden = true;
  } catch {
    document.getElementById("offline-since").textContent = new Date(seen).toISOString().slice(11, 19);
    offline.hidden = false;
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, PERIOD);
}

if (document.querySelector("[data-live]")) {
  document.addEventListener("visibilitychange", refresh);
  timer = setTimeout(refresh, PERIOD);
}
