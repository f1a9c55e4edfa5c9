"use strict";
// Regions marked data-live="payout,client" are fetched anew when the server says that something of theirs changed.
// Without this script every page works; it is then as old as its last load.
(() => {
  const regions = () => [...document.querySelectorAll("[data-live][id]")];
  const topics = [...new Set(regions().flatMap((one) => one.dataset.live.split(",")))];
  if (!topics.length) return;
  let source = null;
  let waiting = null;

  const busy = (one) => one.contains(document.activeElement) && document.activeElement !== one;

  const renew = async () => {
    waiting = null;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (!answer.ok) return location.reload();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const one of regions()) {
      const other = fresh.getElementById(one.id);
      if (other && !busy(one) && other.innerHTML !== one.innerHTML) one.replaceChildren(...other.childNodes);
    }
  };
  const soon = () => { waiting ??= setTimeout(() => renew().catch(() => {}), 150); };

  const open = () => {
    source = new EventSource("/live?topics=" + encodeURIComponent(topics.join(",")));
    source.addEventListener("changed", soon);
    source.addEventListener("open", soon); // what changed before we listened
    source.addEventListener("over", () => location.reload());
    source.addEventListener("error", () => {
      // The browser tries again by itself, unless it was refused: then a look now and then does.
      if (source.readyState === EventSource.CLOSED) setTimeout(soon, 15000);
    });
  };
  const shut = () => { source?.close(); source = null; };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) shut();
    else if (!source) open();
  });
  addEventListener("pagehide", shut);
  open();
})();
