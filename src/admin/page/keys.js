// The admin token, and questions that stand in front of everything else. The token is kept in this
// variable and nowhere else: closing the page forgets it.
import { $, setText } from './dom.js';
import { order } from './events.js';

export class Keys {
  #token = '';

  constructor(weir) {
    this.weir = weir;
    $('unlock').addEventListener('click', () => (this.#token ? this.forget() : this.ask()));
    $('ask-no').addEventListener('click', () => $('ask').close());
  }

  get token() { return this.#token; }

  refresh() {
    const weir = this.weir();
    $('unlock').hidden = !weir.actions && !weir.payloads_need_token;
    setText($('unlock'), this.#token ? 'Lock' : 'Unlock');
  }

  forget() { this.#token = ''; this.refresh(); }

  // Resolves to true when there is a token to try.
  async ask(why = '') {
    const said = await question({
      title: 'Admin token', yes: 'Unlock', secret: true, label: 'Token', error: why,
      text: `It is in the file admin-token in ${this.weir().store || 'the store directory'}, new with each start of weir. This page keeps it until it is closed.`,
    });
    if (said === null || said === '') return false;
    this.#token = said.trim();
    this.refresh();
    return true;
  }

  // An order that needs the token; asks for it, and for a confirmation, where weir wants one.
  // Resolves to what was done, in words, or throws what went wrong.
  async order(path, body, { confirmWord = '', title = '', yes = '' } = {}) {
    if (!this.#token && !(await this.ask())) return '';
    let said = await order(path, this.#token, body);
    while (said.status === 401) {
      this.forget();
      if (!(await this.ask('This token was not accepted.'))) return '';
      said = await order(path, this.#token, body);
    }
    if (said.status === 409 && said.needs_confirmation) {
      const answer = await question({ title, text: said.error, yes, danger: true,
        label: confirmWord ? `To go on, type ${confirmWord}` : '', expect: confirmWord });
      if (answer === null) return '';
      said = await order(path, this.#token, { ...body, confirmed: true });
    }
    if (said.status !== 200) throw new Error(said.error || `answered ${said.status}`);
    return said.done || 'done';
  }
}

// Resolves to what was typed ('' if nothing is asked for), null if it was called off.
export function question({ title, text, label = '', yes = 'OK', secret = false, danger = false, expect = '', error = '', value = '', type = 'text' }) {
  const dialog = $('ask'), input = $('ask-input');
  setText($('ask-title'), title);
  setText($('ask-text'), text);
  setText($('ask-error'), error);
  setText($('ask-label').firstElementChild, label);
  $('ask-label').hidden = !label;
  setText($('ask-yes'), yes);
  $('ask-yes').classList.toggle('danger', danger);
  input.type = secret ? 'password' : type;
  input.value = value;
  const agree = () => { $('ask-yes').disabled = Boolean(expect) && input.value !== expect; };
  agree();
  return new Promise((resolve) => {
    let answer = null;
    const submit = (event) => { event.preventDefault(); answer = input.value; dialog.close(); };
    const close = () => {
      $('ask-form').removeEventListener('submit', submit);
      input.removeEventListener('input', agree);
      input.value = '';
      resolve(answer);
    };
    $('ask-form').addEventListener('submit', submit);
    input.addEventListener('input', agree);
    dialog.addEventListener('close', close, { once: true });
    dialog.showModal();
    (label ? input : $('ask-no')).focus();
  });
}
