// Keeps the page fresh while something happens, and does acts without leaving it.
// Without this script everything can still be read and done.
'use strict';

const PAUSE = 1000;
const said = document.getElementById('said');

function say(text, wrong) {
  said.textContent = text;
  said.classList.toggle('wrong', Boolean(wrong));
}

// Brings a table's rows in step, so that only what changed is replaced, and shows that it changed.
function mergeRows(here, there) {
  const known = new Map([...here.children].map((row) => [row.dataset.key, row]));
  let before = here.firstElementChild;
  for (const row of [...there.children]) {
    const old = known.get(row.dataset.key);
    known.delete(row.dataset.key);
    if (old && (old.outerHTML.replace(' changed', '') === row.outerHTML || isBeingEdited(old))) {
      if (old === before) before = before.nextElementSibling;
      else here.insertBefore(old, before);
      continue;
    }
    row.classList.add('changed');
    if (old === before && old) before = before.nextElementSibling;
    if (old) {
      const focused = old.contains(document.activeElement) ? document.activeElement.id : '';
      old.replaceWith(row);
      if (focused) document.getElementById(focused)?.focus();
      if (row.nextElementSibling !== before) here.insertBefore(row, before);
    } else {
      here.insertBefore(row, before);
    }
  }
  for (const gone of known.values()) gone.remove();
}

function isBeingEdited(element) {
  const active = document.activeElement;
  return element.contains(active) && (active.matches('input, select'));
}

async function refresh() {
  const answer = await fetch(location.href, { cache: 'no-store' });
  const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
  for (const here of document.querySelectorAll('[data-live]')) {
    const there = next.getElementById(here.id);
    if (!there) continue;
    if (here.tagName === 'TBODY') mergeRows(here, there);
    else if (here.innerHTML !== there.innerHTML) here.innerHTML = there.innerHTML;
  }
}

let lost = false;
async function watch() {
  if (!document.hidden) {
    try {
      await refresh();
      if (lost) say('');
      lost = false;
    } catch {
      lost = true;
      say('The sandbox does not answer.', true);
    }
  }
  setTimeout(watch, PAUSE);
}

document.addEventListener('submit', async (event) => {
  // By attribute: a button that is called "method" hides the form's property of that name.
  const form = event.target;
  if (form.getAttribute('method') !== 'post') return;
  event.preventDefault();
  try {
    const answer = await fetch(form.getAttribute('action'), {
      method: 'POST',
      headers: { Accept: 'application/json' },
      body: new URLSearchParams(new FormData(form, event.submitter)),
    });
    const { done, error } = await answer.json();
    say(done ?? error, !answer.ok);
    if (answer.ok && form.classList.contains('fields')) form.reset();
    document.activeElement?.matches('input, select') && document.activeElement.blur();
    await refresh();
  } catch {
    say('The sandbox does not answer.', true);
  }
});

// A level is set when it is said so; until something else is chosen there is nothing to say.
document.addEventListener('change', (event) => event.target.closest('form.level')?.classList.add('touched'));

document.body.classList.add('live');
setTimeout(watch, PAUSE);
