// Progressive help only; every page works without this file.
"use strict";
(() => {
  // What Telegram says about the person stands behind the # of the address; the server checks it.
  const form = document.getElementById("sign-in");
  if (form) {
    const told = new URLSearchParams(location.hash.slice(1));
    const initData = told.get("tgWebAppData");
    const login = told.get("tgAuthResult");
    if (initData || login) {
      form.elements.init_data.value = initData || "";
      form.elements.login.value = login || "";
      history.replaceState(null, "", location.pathname);
      form.submit();
    }
  }
  document.addEventListener("htmx:afterRequest", (event) => {
    const sent = event.detail.elt;
    if (event.detail.successful && sent.dataset && sent.dataset.reset) {
      sent.reset();
      const field = sent.querySelector("input[type=text]");
      if (field) field.focus();
    }
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    const target = event.detail.target;
    if (target.id === "log" && target.lastElementChild) {
      target.lastElementChild.scrollIntoView({ block: "nearest" });
    }
    if (target.id === "result") {
      target.focus({ preventScroll: true });
      const top = target.getBoundingClientRect().top;
      if (top < 0 || top > innerHeight * 0.6) target.scrollIntoView({ block: "start" });
    }
  });
  // A refusal is an answer too: show its words in place instead of doing nothing.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const status = event.detail.xhr.status;
    if ([400, 403, 404, 413, 422, 503].includes(status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
})();
