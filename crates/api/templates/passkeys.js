// Passkeys (W3C Web Authentication): hands a form's options to the browser and the browser's answer to the form. Nothing else runs on these pages.
"use strict";
(() => {
  const forms = document.querySelectorAll("form[data-passkey]");
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) => {
    let letters = "";
    for (const byte of new Uint8Array(buffer)) letters += String.fromCharCode(byte);
    return btoa(letters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  };
  const named = (list) => (list || []).map((entry) => ({ ...entry, id: bytes(entry.id) }));

  const creation = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
  });
  const request = (options) => ({
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: named(options.allowCredentials),
  });

  const answer = (credential) => {
    const { response } = credential;
    const fields = { clientDataJSON: text(response.clientDataJSON) };
    if (response.attestationObject) {
      fields.attestationObject = text(response.attestationObject);
    } else {
      fields.authenticatorData = text(response.authenticatorData);
      fields.signature = text(response.signature);
      fields.userHandle = response.userHandle ? text(response.userHandle) : null;
    }
    return JSON.stringify({ id: credential.id, type: credential.type, response: fields });
  };

  // One question at a time: the one behind the username field makes way for a button.
  let waiting = null;

  const ask = async (form, mediation) => {
    const options = JSON.parse(form.dataset.options);
    if (waiting) waiting.abort();
    const controller = new AbortController();
    waiting = controller;
    const { signal } = controller;
    const credential = form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: creation(options), signal })
      : await navigator.credentials.get({ publicKey: request(options), signal, ...(mediation ? { mediation } : {}) });
    if (!credential) throw new Error("no credential");
    form.elements.credential.value = answer(credential);
    form.submit();
  };

  const offer = async (form) => {
    if (!("conditional" in form.dataset)) return;
    const available = PublicKeyCredential.isConditionalMediationAvailable;
    if (!available || !(await available.call(PublicKeyCredential))) return;
    // Nobody chose one of the field's suggestions, or the button was pressed: neither is worth a word.
    ask(form, "conditional").catch(() => {});
  };

  for (const form of forms) {
    form.hidden = false;
    const problem = form.querySelector("[data-problem]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      problem.hidden = true;
      try {
        await ask(form);
      } catch (error) {
        problem.textContent = error.name === "InvalidStateError" ? "This passkey is one of yours already." : "That did not work, or took too long. Try again.";
        problem.hidden = false;
        offer(form);
      }
    });
    offer(form);
  }
})();
